import { describe, expect, test } from 'vitest';
import { GOOD, GOOD_SSO, problemsOf, ssoProblemsOf } from './problem-of.js';

describe('options of pages that cannot work are refused at start-up', () => {
  test.each([
    [null, 'pages must be an object'],
    ['Example', 'pages must be an object'],
    [[], 'pages must be an object'],
    [{ titel: 'x' }, 'unknown pages option "titel": did you mean title?'],
    [{ colour: '#fff' }, 'unknown pages option "colour": did you mean color?'],
    [{ primaryColor: '#fff' }, 'unknown pages option "primaryColor": write color'],
    [{ locale: 'de' }, 'unknown pages option "locale": write lang'],
    [{ logoURL: '/x' }, 'unknown pages option "logoURL": write logo'],
    [{ translations: {} }, 'unknown pages option "translations": write texts'],
    [{ title: '' }, 'pages.title must be the name of the application, of 1 to 100 characters'],
    [{ title: ' ' }, 'pages.title must be the name'],
    [{ title: 1 }, 'pages.title must be the name'],
    [{ title: 'x'.repeat(101) }, 'pages.title must be the name'],
    [{ logo: 'logo.svg' }, "pages.logo must be a path such as '/logo.svg'"],
    [{ logo: '//evil.example/logo.svg' }, 'pages.logo must be a path'],
    [{ logo: '/\\evil.example/logo.svg' }, 'pages.logo must be a path'],
    [{ logo: 'http://example.com/logo.svg' }, 'pages.logo must be a path'],
    [{ logo: 'javascript:alert(1)' }, 'pages.logo must be a path'],
    [{ logo: 'data:text/html,x' }, 'pages.logo must be a path'],
    [{ logo: '' }, 'pages.logo must be a path'],
    [{ logo: 7 }, 'pages.logo must be a path'],
    [{ color: 'red' }, "pages.color must be a color such as '#5145cd'"],
    [{ color: '#12345' }, 'pages.color must be a color'],
    [{ color: '#fff;}body{display:none' }, 'pages.color must be a color'],
    [{ color: 0xff0000 }, 'pages.color must be a color'],
    [{ lang: 'german!' }, "pages.lang must be a language tag, such as 'de' or 'pt-BR'"],
    [{ lang: 'de_DE' }, 'pages.lang must be a language tag'],
    [{ lang: '' }, 'pages.lang must be a language tag'],
    [{ lang: ['de'] }, 'pages.lang must be a language tag'],
    [{ texts: 'de' }, 'pages.texts must be an object'],
    [{ texts: { signout: {} } }, 'unknown page in pages.texts "signout": did you mean signOut?'],
    [
      { texts: { invalid_sate: {} } },
      'unknown page in pages.texts "invalid_sate": did you mean invalid_state?',
    ],
    [
      { texts: { dashboard: {} } },
      'unknown page in pages.texts "dashboard": there is no such page; docs/branding.md lists all of them',
    ],
    [{ texts: { signOut: 'Abmelden' } }, 'pages.texts.signOut must be an object such as { title, text }'],
    [
      { texts: { signOut: { titel: 'x' } } },
      'unknown key in pages.texts.signOut "titel": did you mean title?',
    ],
    [
      { texts: { signOut: { title: '' } } },
      'pages.texts.signOut.title must be a text of 1 to 1000 characters',
    ],
    [{ texts: { signOut: { text: 1 } } }, 'pages.texts.signOut.text must be a text'],
    [{ texts: { buttons: 'x' } }, "pages.texts.buttons must be an object such as { signIn: 'Anmelden' }"],
    [
      { texts: { buttons: { signin: 'x' } } },
      'unknown key in pages.texts.buttons "signin": did you mean signIn?',
    ],
    [{ render: '<html>' }, 'pages.render must be a function that returns HTML'],
  ])('%j', (pages, problem) => {
    for (const found of [problemsOf({ ...GOOD, pages }), ssoProblemsOf({ ...GOOD_SSO, pages })])
      expect(found).toEqual([expect.stringContaining(problem)]);
  });

  test('each problem is reported', () => {
    expect(
      problemsOf({ ...GOOD, pages: { color: 'red', lang: '!', texts: { buttons: { x: '' } } } }),
    ).toHaveLength(4);
  });
});

test('options of pages that work are accepted', () => {
  for (const pages of [
    undefined,
    {},
    () => undefined,
    { title: 'Äpfel & Birnen', color: '#FA0', lang: 'zh-Hant-TW', texts: {} },
    { logo: 'https://cdn.example.com/a b.svg' },
    { logo: '/logo.svg?v=2' },
    { logo: 'data:image/png;base64,iVBORw0KGgo=' },
    {
      texts: { signOut: undefined, forbidden: { title: 'x', text: undefined }, buttons: {} },
      render: () => '',
    },
  ])
    expect(problemsOf({ ...GOOD, pages }), JSON.stringify(pages)).toEqual([]);
});
