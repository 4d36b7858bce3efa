import type { Contender } from '../../../bench/contenders/contender.js';
import type { ElectionCluster } from '../../../proof/fleet/election-cluster.js';
import type { Outsiders } from '../../../proof/kubernetes/crowd.js';
import type { CandidatesReport } from '../../../proof/kubernetes/crowd-process.js';
import { ClientGoElector } from './peer.js';

type Place = Pick<ElectionCluster, 'leaseName' | 'kubeConfigFile'>;

/** client-go's defaults. */
const TIMES = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

/** Several electors of client-go, of which another one starts whenever one has ended. */
export class ClientGoCrowd implements Outsiders {
  private readonly electors: Contender[] = [];

  private constructor(private readonly place: Place) {}

  static async start(place: Place, size: number): Promise<ClientGoCrowd> {
    const crowd = new ClientGoCrowd(place);
    for (let elector = 0; elector < size; elector++) await crowd.add();
    return crowd;
  }

  get reports(): CandidatesReport[] {
    return this.electors.flatMap(({ identity, grantedAt, endedAt }) =>
      grantedAt === undefined
        ? []
        : [
            { kind: 'granted', identity, at: grantedAt },
            ...(endedAt === undefined ? [] : [{ kind: 'revoked', identity, at: endedAt } as const]),
          ],
    );
  }

  async stepDown(identity: string): Promise<void> {
    this.electors.find((elector) => elector.identity === identity)!.signal('SIGTERM');
    await this.add();
  }

  async kill(): Promise<void> {
    await Promise.all(this.electors.map((elector) => elector.kill()));
  }

  private async add(): Promise<void> {
    this.electors.push(await ClientGoElector.start(this.place, TIMES));
  }
}
