import { HANDLER_MARKS, handlerMarksOf, type HandlerKind } from '../leadership-handler.js';
import { checkedRole, methodTarget } from './decorator-target.js';

/** Marks a method as a handler. Marks accumulate, so that one method may serve several roles and events. */
export function handlerDecorator(kind: HandlerKind, role: string | undefined): MethodDecorator {
  const named = checkedRole(`@${kind}()`, role);
  return (target, key, descriptor) => {
    const method = methodTarget(`@${kind}()`, target, key, descriptor).descriptor.value as object;
    const marks = handlerMarksOf(method);
    if (marks.some((mark) => mark.kind === kind && mark.role === named)) return;
    Reflect.defineMetadata(HANDLER_MARKS, [...marks, { kind, role: named }], method);
  };
}
