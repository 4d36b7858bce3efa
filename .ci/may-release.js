import { appendFileSync, readFileSync } from 'node:fs';

/**
 * What a release needs of the repository, said before it is tested: the tag is the version, and the package names this
 * repository, without which the registry accepts no provenance. In a fork that did not make the package its own there is
 * nothing to release, and that is no error.
 */
const { version, repository } = JSON.parse(readFileSync('package.json', 'utf8'));
const { GITHUB_REF_NAME: tag, GITHUB_REPOSITORY: name, IS_FORK: isFork } = process.env;
const address = typeof repository === 'string' ? repository : (repository?.url ?? '');
const isOwn = addressOf(address) === `github.com/${name}`.toLowerCase();
if (!isOwn && isFork === 'true') {
  skip(`Nothing is released: this is a fork, and package.json names another repository. To publish a package of your own,
give it another name and set \`repository\` in package.json to github.com/${name}.`);
} else if (!isOwn) {
  fail(`repository in package.json is ${JSON.stringify(address)} and does not name github.com/${name}, which provenance needs.
See "Before the first release" in CONTRIBUTING.md.`);
} else if (tag !== `v${version}`) {
  fail(
    `The tag ${tag} is not v${version}, the version in package.json. Delete the tag, and set either of the two.`,
  );
} else {
  appendFileSync(process.env['GITHUB_OUTPUT'], 'releases=true\n');
}

function skip(why) {
  say('notice', why);
  appendFileSync(process.env['GITHUB_OUTPUT'], 'releases=false\n');
}

function fail(why) {
  say('error', why);
  process.exitCode = 1;
}

/** As an annotation of the run, and on its page. */
function say(level, why) {
  const line = why.replaceAll('\n', ' ');
  console.log(`::${level} title=Release::${line}`);
  appendFileSync(process.env['GITHUB_STEP_SUMMARY'], `${line}\n`);
}

/** Of `github:owner/name`, `git+https://github.com/owner/name.git` and `git@github.com:owner/name`: the same. */
function addressOf(url) {
  const [, found = ''] =
    /^(?:github:|.*github\.com[/:])?([\w.-]+\/[\w.-]+?)(?:\.git)?$/.exec(url) ?? [];
  return `github.com/${found}`.toLowerCase();
}
