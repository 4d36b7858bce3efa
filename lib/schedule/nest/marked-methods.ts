import { Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { OptionFault } from '../../core/errors.js';
import { timerKindOf } from '../../nest/entry-point.js';
import { GATES } from '../../nest/gated-method.js';
import {
  classMethod,
  classOf,
  instanceOf,
  type InstanceWrapper,
  type MethodMarks,
  prototypeOf,
  scopeFault,
} from '../../nest/method-marks.js';

/** One use of a decorator on a method of the application. */
interface MarkedCall<Mark, Context> {
  /** Class and method, e.g. `PlanScheduler.close`. */
  readonly name: string;
  /** For messages, e.g. `@LeaderCron() on PlanScheduler.close`. */
  readonly place: string;
  readonly mark: Mark;
  readonly owner: object;
  /** True if `@LeaderOnly()` may keep a call from reaching the method, or one of its name in a class above it. */
  readonly isGated: boolean;
  /** What is called. */
  readonly method: unknown;
  /** Calls the method. */
  readonly run: (context: Context) => unknown;
}

interface MarkedCalls<Mark, Context> {
  readonly found: readonly MarkedCall<Mark, Context>[];
  readonly faults: readonly OptionFault[];
}

/** Finds the decorated methods of an application, each once. */
@Injectable()
export class MarkedMethodsExplorer {
  constructor(private readonly modules: ModulesContainer) {}

  explore<Mark, Context>(
    decorator: string,
    marksOf: MethodMarks<Mark>,
  ): MarkedCalls<Mark, Context> {
    const found: MarkedCall<Mark, Context>[] = [];
    const faults: OptionFault[] = [];
    const explored = new Set<object>();
    for (const wrapper of this.wrappers()) {
      const instance = instanceOf(wrapper);
      const owner = prototypeOf(instance) ?? classOf(wrapper);
      if (wrapper.isAlias || (instance !== undefined && explored.has(instance))) continue;
      if (instance !== undefined) explored.add(instance);
      for (const { key, marks } of marksOf.all(owner)) {
        const name = `${nameOf(wrapper)}.${String(key)}`;
        const place = `${decorator} on ${name}`;
        if (timerKindOf(classMethod(owner, key)) !== undefined) faults.push(timerFault(place));
        for (const mark of marks) {
          if (instance === undefined) faults.push(scopeFault(place, 'job', wrapper));
          else {
            const isGated = GATES.reachable(owner).some((gated) => gated.key === key);
            const method = (instance as Record<string | symbol, unknown>)[key];
            const run = callOf<Context>(instance, key);
            found.push({ name, place, mark, owner: instance, isGated, method, run });
          }
        }
      }
    }
    return { found, faults };
  }

  private *wrappers(): Iterable<InstanceWrapper> {
    for (const module of this.modules.values()) {
      for (const collection of [module.providers, module.controllers, module.injectables]) {
        yield* collection.values() as Iterable<InstanceWrapper>;
      }
    }
  }
}

/** Whatever gates the timer: its tick is no claim, and calls the method beside the runs that are claimed. */
function timerFault(place: string): OptionFault {
  return {
    field: place,
    value: undefined,
    rule: 'is also a timer (@Cron, @Interval or @Timeout), which calls it at every tick beside the runs that are claimed',
    fix: 'remove the timer, or give it a method of its own',
  };
}

function callOf<Context>(owner: object, key: string | symbol): (context: Context) => unknown {
  const methods = owner as Record<string | symbol, (context: Context) => unknown>;
  return (context) => methods[key]!(context);
}

/**
 * The name of the class where it is known; a provider made by a factory is named after its token, which may be a
 * symbol.
 */
function nameOf({ name }: InstanceWrapper): string {
  return String(name);
}
