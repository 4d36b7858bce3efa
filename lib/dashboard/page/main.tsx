import { render } from 'preact';
import type { Hello, Part, RoleView } from '../dashboard-view.js';

/** The page may be mounted under any prefix, and be asked for with a slash at its end. */
const base = location.pathname.replace(/\/+$/, '');
const page = document.getElementById('page')!;
const roles = new Map<string, RoleView>();
let hello: Hello | undefined;

function App() {
  return (
    <main>
      <h1>{hello?.application ?? 'Leader election'}</h1>
      {[...roles.values()].map((role) => (
        <section key={role.role}>
          <h2>{role.role}</h2>
          <p>{role.leader === null ? 'No leader' : role.leader.identity}</p>
        </section>
      ))}
    </main>
  );
}

const stream = new EventSource(`${base}/stream`);
stream.addEventListener('hello', ({ data }: MessageEvent<string>) => {
  hello = JSON.parse(data) as Hello;
  roles.clear();
  render(<App />, page);
});
stream.addEventListener('part', ({ data }: MessageEvent<string>) => {
  const { key, value } = JSON.parse(data) as Part;
  if (!key.startsWith('role/')) return;
  if (value === null) roles.delete(key);
  else roles.set(key, value as RoleView);
  render(<App />, page);
});
render(<App />, page);
