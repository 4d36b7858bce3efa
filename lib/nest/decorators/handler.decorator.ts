import { refuseLateInstances } from '../late-instances.js';
import { HANDLER_MARKS, type HandlerKind } from '../leadership-handler.js';
import { checkedRole, methodTarget } from './decorator-target.js';

/** Marks a method as a handler. Marks accumulate, so that one method may serve several roles and events. */
export function handlerDecorator(kind: HandlerKind, role: string | undefined): MethodDecorator {
  const named = checkedRole(`@${kind}()`, role);
  return (target, key, descriptor) => {
    const { prototype, descriptor: method } = methodTarget(`@${kind}()`, target, key, descriptor);
    const marks = HANDLER_MARKS.own(prototype, key, method.value);
    if (marks.some((mark) => mark.kind === kind && mark.role === named)) return;
    HANDLER_MARKS.add(prototype, key, method.value as object, { kind, role: named });
    refuseLateInstances(prototype);
  };
}
