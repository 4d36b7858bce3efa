import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { ActionResult, DashboardAction, RoleView } from '../dashboard-view.js';
import { baseOf, perform } from './connection.js';
import { state, useTopics } from './hooks.js';
import { Glyph, nameOf } from './parts.js';

export interface Question {
  readonly title: string;
  readonly consequence: string;
  /** What the button says. */
  readonly verb: string;
  readonly field?:
    | { readonly kind: 'reason'; readonly label: string; readonly isRequired: boolean }
    | { readonly kind: 'member'; readonly label: string; readonly role: string };
  /** @param answer What was put into the field. */
  readonly action: (answer: string) => DashboardAction;
}

let askNow: (question: Question) => void = () => {};

/** Asks before it acts. */
export function ask(question: Question): void {
  askNow(question);
}

/** One dialog for all actions: asks, waits, and shows what came of it. */
export function Asking() {
  const [question, setQuestion] = useState<Question>();
  askNow = setQuestion;
  if (question === undefined) return null;
  return <Ask question={question} onClose={() => setQuestion(undefined)} />;
}

const LONGEST_REASON = 200;

function Ask({ question, onClose }: { readonly question: Question; readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const closing = useRef<HTMLButtonElement>(null);
  const [answer, setAnswer] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [result, setResult] = useState<ActionResult>();
  const { title, consequence, verb, field, action } = question;
  useLayoutEffect(() => {
    dialog.current!.showModal();
    // A key that is pressed once too often must not act.
    const first = dialog.current!.querySelector<HTMLElement>('input, select') ?? closing.current!;
    first.focus();
  }, []);
  useEffect(() => {
    if (result !== undefined) closing.current!.focus();
  }, [result]);

  const act = async () => {
    setBusy(true);
    const came = await perform(baseOf(location.pathname), action(answer));
    setBusy(false);
    setResult(came);
    state.announce(came.message);
  };
  const isAnswered =
    answer !== '' || field === undefined || (field.kind === 'reason' && !field.isRequired);
  return (
    <dialog
      ref={dialog}
      class="ask"
      aria-labelledby="ask-title"
      aria-describedby="ask-text"
      onClose={onClose}
      onCancel={(event: Event) => {
        if (isBusy) event.preventDefault();
      }}
    >
      <form
        onSubmit={(event: Event) => {
          event.preventDefault();
          if (!isBusy && isAnswered && result === undefined) void act();
        }}
      >
        <h2 id="ask-title">{title}</h2>
        <p id="ask-text">{consequence}</p>
        {field === undefined || result !== undefined ? null : (
          <label class="field">
            <span>{field.label}</span>
            {field.kind === 'reason' ? (
              <input
                type="text"
                value={answer}
                maxLength={LONGEST_REASON}
                required={field.isRequired}
                autocomplete="off"
                onInput={({ currentTarget }) => setAnswer(currentTarget.value)}
              />
            ) : (
              <Members role={field.role} value={answer} onChoose={setAnswer} />
            )}
          </label>
        )}
        <div role="status" class="outcome">
          {isBusy ? <p>Waiting for the answer…</p> : null}
          {result === undefined ? null : (
            <p class={result.isDone ? 'is-done' : 'is-bad'}>
              <Glyph sign={result.isDone ? 'good' : 'bad'} />
              <span>{result.message}</span>
            </p>
          )}
        </div>
        <div class="buttons">
          <button
            ref={closing}
            type="button"
            aria-disabled={isBusy}
            onClick={() => {
              if (!isBusy) dialog.current!.close();
            }}
          >
            {result === undefined ? 'Not now' : 'Close'}
          </button>
          {result !== undefined ? null : (
            <button type="submit" class="primary" aria-disabled={isBusy || !isAnswered}>
              {verb}
            </button>
          )}
        </div>
      </form>
    </dialog>
  );
}

/** Who can follow: a ready replica that does not end and is not leader already. */
export function successors(view: RoleView | undefined): readonly string[] {
  const members = view?.members ?? [];
  return members
    .filter((each) => each.isReady && !each.isTerminating && !each.isLeader)
    .map(({ name }) => name);
}

function Members(props: { role: string; value: string; onChoose: (name: string) => void }) {
  useTopics(`role/${encodeURIComponent(props.role)}`);
  const names = successors(state.role(props.role));
  const isGone = props.value !== '' && !names.includes(props.value);
  return (
    <select
      value={props.value}
      required
      onChange={({ currentTarget }) => props.onChoose(currentTarget.value)}
    >
      <option value="">Choose a replica</option>
      {isGone ? <option value={props.value}>{props.value} (no longer ready)</option> : null}
      {names.map((name) => (
        <option key={name} value={name}>
          {nameOf(name)}
        </option>
      ))}
    </select>
  );
}
