import type { KindNames } from './kind-names.js';
import type { Answer } from './status-body.js';

export type Body = Record<string, unknown>;

export interface StoredObject {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: Body & {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly [field: string]: unknown;
}

/** What a request writes: the object, or only its status. */
export type WrittenPart = 'object' | 'status';

/** Where one kind of object differs from another. */
export interface ObjectKind extends KindNames {
  /** True: a PUT without resourceVersion replaces whatever is there. */
  readonly isReplacedUnconditionally: boolean;
  /** True: a PUT to a name that is free creates the object. */
  readonly isCreatedByPut: boolean;
  readonly hasStatus: boolean;
  /** True: the server counts the changes of the spec in metadata.generation. */
  readonly hasGeneration: boolean;
  /** The object of a bookmark, besides its metadata. */
  readonly emptyContent: Body;
  /** What decoding refuses (400) and validation refuses (422). */
  faultOf(body: Body, name: string, change?: Change): Answer | undefined;
  /** All fields but the metadata, as the server stores them. */
  contentOf(body: Body, change?: Change): Body;
  /** The fields a selector may name. */
  readonly selectable: Readonly<Record<string, (object: StoredObject) => string | undefined>>;
  /** What the server says of another field. */
  unknownSelector(field: string): string;
  /** Seconds an object outlives its deletion; undefined: it goes at once and without a trace. */
  graceOf?(stored: StoredObject): number;
}

/** An update of something that is there. */
export interface Change {
  readonly stored: StoredObject;
  readonly part: WrittenPart;
}

export interface LeaseObject extends StoredObject {
  readonly spec: Body;
}
