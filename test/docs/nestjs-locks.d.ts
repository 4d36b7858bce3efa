/** `@nestjs/locks` as docs.nestjs.com/reliability/locks describes it: the package is not on the registry. */
declare module '@nestjs/locks' {
  interface LockOptions {
    readonly key?: string;
    readonly ttl?: string;
  }
  function OnOneInstance(options?: LockOptions): MethodDecorator;
  function WithoutOverlapping(options?: LockOptions): MethodDecorator;
  function LeaderElection(key: string, options?: { ttl?: string }): ClassDecorator;

  interface Lock {
    readonly held: boolean;
    readonly signal: AbortSignal;
    readonly fencingToken: number;
    release(): Promise<void>;
  }
  class Locks {
    acquire(
      key: string,
      options?: { ttl?: string; wait?: string; signal?: AbortSignal },
    ): Promise<Lock | null>;
  }
}
