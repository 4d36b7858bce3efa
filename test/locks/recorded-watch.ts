export { RecordedWatch } from '../../lib/contracts/recorded-watch.js';
