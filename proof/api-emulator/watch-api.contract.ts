import { describe, expect, it } from '@jest/globals';
import type { ApiCaller, ToldEvent } from './api-caller.js';

const CORE = '/api/v1/namespaces/default';
const INITIAL_END = { 'k8s.io/initial-events-end': 'true' };
const told = ({ type, object }: ToldEvent) => [type, object.metadata['name']];

/** What is known of watches on an API server, stated once for the emulator and for the real one. */
export function describeWatchApi(name: string, caller: () => ApiCaller): void {
  let made = 0;
  const createConfigMap = async () => {
    const metadata = { name: `watched-${++made}` };
    return (await caller().send('POST', `${CORE}/configmaps`, { metadata })).body;
  };
  const nameOf = ({ metadata }: { metadata?: object }) => (metadata as { name: string }).name;
  const selecting = (configMap: { metadata?: object }) => ({
    fieldSelector: `metadata.name=${nameOf(configMap)}`,
  });

  describe(`${name} (watches)`, () => {
    it('when no version is named, tells what is there, every change, and ends in time', async () => {
      const configMap = await createConfigMap();
      const path = `${CORE}/configmaps/${nameOf(configMap)}`;
      const events = await caller().watch(`${CORE}/configmaps`, selecting(configMap), async () => {
        await caller().send('PATCH', path, { data: { k: 'v' } });
        await caller().send('PATCH', path, { data: { k: 'v' } });
        await caller().send('DELETE', path);
      });
      expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
      const versions = events.map(({ object }) => Number(object.metadata['resourceVersion']));
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    });

    it.each([
      [`${CORE}/configmaps`, { kind: 'ConfigMap' }],
      [`${CORE}/pods`, { kind: 'Pod', spec: { containers: null }, status: {} }],
      ['/apis/coordination.k8s.io/v1/namespaces/default/leases', { kind: 'Lease', spec: {} }],
    ])('when %s is asked for bookmarks, marks the end of what was there', async (path, object) => {
      const query = { allowWatchBookmarks: 'true', fieldSelector: 'metadata.name=nobody' };
      const [first] = await caller().watch(path, query);
      expect(first).toMatchObject({
        type: 'BOOKMARK',
        object: { ...object, metadata: { annotations: INITIAL_END } },
      });
      expect(await caller().watch(path, { fieldSelector: query.fieldSelector })).toEqual([]);
    });

    it('when a version is named, tells only what came after it, and marks no end', async () => {
      await createConfigMap();
      const list = await caller().send('GET', `${CORE}/configmaps`);
      const resourceVersion = String(list.body.metadata?.['resourceVersion']);
      const other = await createConfigMap();
      const query = { resourceVersion, allowWatchBookmarks: 'true' };
      const events = await caller().watch(`${CORE}/configmaps`, query);
      // The server may tell a bookmark of its own accord, but not the one that ends the beginning.
      expect(events.map(({ object }) => object.metadata['annotations'])).not.toContainEqual(
        INITIAL_END,
      );
      const changes = events.filter(({ type }) => type !== 'BOOKMARK');
      expect(changes.map(told)).toEqual([['ADDED', nameOf(other)]]);
    });

    it('when an object ceases to match the selector, tells it as DELETED, as it was before', async () => {
      const metadata = { name: `watched-${++made}` };
      const spec = { containers: [{ name: 'c', image: 'i' }] };
      await caller().send('POST', `${CORE}/pods`, { metadata, spec });
      const path = `${CORE}/pods/${metadata.name}/status`;
      const query = { fieldSelector: `metadata.name=${metadata.name},status.phase=Running` };
      const events = await caller().watch(`${CORE}/pods`, query, async () => {
        for (const phase of ['Running', 'Failed', 'Running']) {
          await caller().send('PATCH', path, { status: { phase } });
        }
        await caller().send('DELETE', `${CORE}/pods/${metadata.name}`);
      });
      const phases = events.map(({ type, object }) => [type, (object['status'] as Phase).phase]);
      expect(phases).toEqual([
        ['ADDED', 'Running'],
        ['DELETED', 'Running'],
        ['ADDED', 'Running'],
        ['MODIFIED', 'Running'],
        ['DELETED', 'Running'],
      ]);
    });

    it('when the selector names an unknown field, answers 400', async () => {
      const path = `${CORE}/pods?watch=true&fieldSelector=spec.x%3Dy`;
      expect(await caller().send('GET', path)).toMatchObject({
        status: 400,
        body: { message: 'field label not supported: spec.x' },
      });
    });
  });
}

interface Phase {
  readonly phase: string;
}
