import {
  Injectable,
  Logger,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import {
  ContextIdFactory,
  ModulesContainer,
  type ContextId,
  type DiscoveryService,
} from '@nestjs/core';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** Long enough for an application that waits for its database while it is made. */
const UNINITIALISED_AFTER_MS = 60_000;

/**
 * Warns of an application that was made and never initialised, as a hybrid one may be: Nest runs no hooks then, and
 * nothing else would tell that no replica ever leads. A start that failed is no such application, and has its own error.
 *
 * So that it hears of every initialisation before whatever makes it fail, its hook is the first of all.
 */
@Injectable()
export class BeginningWatch implements OnModuleInit, OnApplicationShutdown {
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly modules: ModulesContainer) {
    for (const module of modules.values()) {
      if (module.metatype === BeginningWatchModule) module.distance = Number.POSITIVE_INFINITY;
    }
    this.timer = setTimeout(() => this.warn(), UNINITIALISED_AFTER_MS);
    this.timer.unref();
  }

  begins(): void {
    clearTimeout(this.timer);
  }

  onModuleInit(): void {
    this.begins();
  }

  onApplicationShutdown(): void {
    this.begins();
  }

  private warn(): void {
    if (!this.isMade()) return;
    new Logger('LeaderElection').warn(
      `the application has not been initialised for ${UNINITIALISED_AFTER_MS / 1_000} s, and competes for no lease before that: ` +
        'a hybrid application needs app.init() or app.listen() beside app.startAllMicroservices()',
    );
  }

  /** False while a provider is still being made, or if one could not be. */
  private isMade(): boolean {
    // Of what is shared, any context has the one instance.
    const context = ContextIdFactory.create();
    for (const { providers, controllers, injectables } of this.modules.values()) {
      for (const collection of [providers, controllers, injectables]) {
        for (const wrapper of collection.values()) {
          const isMadeOnce = !wrapper.isTransient && wrapper.isDependencyTreeStatic();
          if (!isMadeOnce || wrapper.metatype === null) continue;
          if (!hasBeenMade(wrapper, context)) return false;
        }
      }
    }
    return true;
  }
}

/** What could not be made Nest 12 forgets; Nest 11 forgets it too, and then looks for it until the stack is full. */
function hasBeenMade(wrapper: InstanceWrapper, context: ContextId): boolean {
  try {
    const { isResolved, donePromise } = wrapper.getInstanceByContextId(context);
    return isResolved === true && donePromise !== undefined;
  } catch {
    return false;
  }
}

/** See {@link BeginningWatch}. */
@Module({ providers: [BeginningWatch] })
export class BeginningWatchModule {
  constructor(private readonly watch: BeginningWatch) {}

  /** HTTP applications ask for middleware, which may fail, before they run any hook. */
  configure(): void {
    this.watch.begins();
  }
}
