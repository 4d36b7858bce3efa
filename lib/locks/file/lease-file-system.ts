import * as nodeFileSystem from 'node:fs/promises';

/** The system calls the file lock makes, as a port, so that a test can kill or stop a process between any two. */
export type LeaseFileSystem = Pick<
  typeof nodeFileSystem,
  'link' | 'lstat' | 'mkdir' | 'readdir' | 'readFile' | 'unlink' | 'utimes' | 'writeFile'
>;

export const localFileSystem: LeaseFileSystem = nodeFileSystem;
