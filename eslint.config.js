import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  {
    ignores: [
      'dist/',
      // A package of its own, whose dependencies are not those of this one.
      'site/',
      'test/nextjs/proxy.js',
      'test/nextjs/app/',
      'test/nextjs/.next/',
      'coverage/',
      'node_modules/',
      'scripts/',
      'test/mutation/',
      'test/recipes/',
      // Wrong on purpose, line by line: compiled by test/types.test.ts.
      'test/types/',
      '.stryker-tmp/',
      'reports/',
      'eslint.config.js',
      '**/*.cjs',
      'example/*/public/',
      'bench/contenders/',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        // A child process loads this file as it is.
        projectService: { allowDefaultProject: ['src/testing/preload-test-clock.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      'no-restricted-properties': [
        'error',
        {
          object: 'URL',
          property: 'canParse',
          message: 'Use canParse of src/url-can-parse.ts, which says why.',
        },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'No default exports.' },
      ],
    },
  },
  {
    // A test may hold what it has just made for certain; the product may not.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    // NestJS types its options as a class, and takes an object.
    files: ['example/nestjs/*.ts'],
    rules: { '@typescript-eslint/no-unsafe-class-instance-assignment': 'off' },
  },
  { files: ['**/*.config.js', '**/*.config.ts', '**/*.d.ts'], rules: { 'no-restricted-syntax': 'off' } },
);
