/**
 * The globs of the registry settings, with one meaning at every door: each is turned into a regular expression that
 * JavaScript and Go (RE2, for BuildKit's source policies) read alike. `*` stays inside one path component, `**` spans
 * any number of them, `{a,b}` are alternatives; everything else is itself. Pure.
 */

const special = /[.+?^$()|[\]\\{}]/g;

/** A literal for both regular expression dialects. */
export function quotePattern(text: string): string {
  return text.replace(special, '\\$&').replaceAll('*', '\\*');
}

interface GlobDialect {
  /** What one `*` inside a component matches. */
  readonly part: string;
  /** What a component that is nothing but `*` matches. */
  readonly component: string;
  /** What `**` matches. */
  readonly any: string;
}

function componentPattern(text: string, dialect: GlobDialect): string {
  if (text === '*') return dialect.component;
  let pattern = '';
  let depth = 0;
  for (const [token] of text.matchAll(/\*+|[{},]|[^*{},]+/g)) {
    if (token.startsWith('*')) pattern += dialect.part;
    else if (token === '{' && text.includes('}')) {
      pattern += '(?:';
      depth += 1;
    } else if (token === '}' && depth > 0) {
      pattern += ')';
      depth -= 1;
    } else if (token === ',' && depth > 0) pattern += '|';
    else pattern += quotePattern(token);
  }
  // An unclosed brace makes a pattern that matches nothing rather than one that fails to compile.
  return depth === 0 ? pattern : '[^\\s\\S]';
}

function globPattern(glob: string, dialect: GlobDialect): string {
  const components = glob.split('/');
  return components
    .map((component, index) => {
      const last = index === components.length - 1;
      if (component === '**') return last ? dialect.any : `(?:${dialect.any}/)?`;
      return componentPattern(component, dialect) + (last ? '' : '/');
    })
    .join('');
}

const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const repositoryDialect: GlobDialect = {
  part: '[a-z0-9._-]*',
  component: pathComponent,
  any: `${pathComponent}(?:/${pathComponent})*`,
};

/** Unanchored pattern for a repository path such as `library/*`, in the complete grammar of repository names. */
export function repositoryPattern(glob: string): string {
  return globPattern(glob, repositoryDialect);
}

// A `..` or an encoded slash could walk out of what a `**` was meant to span; the characters are those of RFC 3986
// without `%`, `\`, `@` and blanks.
const urlSegment = "[A-Za-z0-9_~!$&'()*+,;=:-][A-Za-z0-9._~!$&'()*+,;=:-]*";
const urlDialect: GlobDialect = {
  part: "[A-Za-z0-9._~!$&'()*+,;=:-]*",
  component: urlSegment,
  any: `(?:${urlSegment}(?:/${urlSegment})*/?)?`,
};

/** Unanchored pattern for an address such as `https://github.com/**`; query and fragment only if the glob names them. */
export function urlPattern(glob: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/.exec(glob);
  if (scheme === null) return '[^\\s\\S]';
  const [, name = '', rest = ''] = scheme;
  return `${quotePattern(name)}://${globPattern(rest, urlDialect)}`;
}

/** Compiles an unanchored pattern so that it must match the whole text. */
export function wholeText(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`);
}
