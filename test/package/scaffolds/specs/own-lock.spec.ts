// The code of docs/own-lock.md; a spec of the repository compares the two.

import {
  documentStoreContract,
  electionContract,
  lockContract,
} from 'nestjs-leader-election/contracts';
import initSqlJs from 'sql.js';
import { type Database, type Row, SCHEMA, sqliteLock } from './sqlite.lock.js';

/** A database of its own for each case, with the faults that a network has. */
async function openDatabase() {
  const { Database: Sqlite } = await initSqlJs();
  const sqlite = new Sqlite();
  sqlite.run(SCHEMA);
  let isAway = false;
  let losesAnswer = false;
  const database: Database = {
    async all(sql, parameters) {
      await Promise.resolve();
      if (isAway) throw new Error('connection refused');
      const statement = sqlite.prepare(sql, [...parameters] as string[]);
      const rows: Row[] = [];
      while (statement.step()) rows.push(statement.getAsObject() as unknown as Row);
      statement.free();
      if (losesAnswer && sql.includes('INSERT')) {
        losesAnswer = false;
        throw new Error('connection reset');
      }
      return rows;
    },
  };
  return {
    sqlite,
    database,
    faults: {
      loseAnswer: async () => void (losesAnswer = true),
      interrupt: async () => {
        isAway = true;
        return async () => void (isAway = false);
      },
    },
  };
}

async function createFixture(object = 'default/plans') {
  const { sqlite, database, faults } = await openDatabase();
  const lock = sqliteLock(database);
  return {
    first: await lock({ leaseName: 'plans', namespace: undefined, identity: 'first' }),
    firstIdentity: 'first',
    second: await lock({ leaseName: 'plans', namespace: undefined, identity: 'second' }),
    secondIdentity: 'second',
    name: 'default/plans',
    deleteByHand: async () =>
      void sqlite.run('DELETE FROM leader_election WHERE name = ?', [object]),
    editByHand: async (change: object) =>
      void sqlite.run(
        'UPDATE leader_election SET content = json_patch(content, ?) WHERE name = ?',
        [JSON.stringify(change), object],
      ),
    spoilByHand: async () =>
      void sqlite.run(`UPDATE leader_election SET content = '[1' WHERE name = ?`, [object]),
    ...faults,
    dispose: async () => sqlite.close(),
  };
}

describe('sqliteLock()', () => {
  const cases = lockContract(createFixture, { without: ['watch', 'competitors'] });
  for (const { name, run } of cases) it(name, run);
});

describe('sqliteLock().sibling()', () => {
  const cases = documentStoreContract(() => createFixture('default/plans-schedule'));
  for (const { name, run } of cases) it(name, run);
});

describe('an election on sqliteLock()', () => {
  const cases = electionContract(
    async () => {
      const { sqlite, database, faults } = await openDatabase();
      return { lock: sqliteLock(database), ...faults, dispose: async () => sqlite.close() };
    },
    { without: ['watch'] },
  );
  for (const { name, run } of cases) it(name, run);
});
