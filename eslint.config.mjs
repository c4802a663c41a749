// SPDX-License-Identifier: GPL-2.0-or-later
/* The rules of LuCI's own repository (ESLint's recommended ones, module bodies with a return of their own), and stricter
 * where nothing stands against it. */
import js from '@eslint/js';
import globals from 'globals';

const STRICT = {
	'no-undef': 'error',
	'no-unused-vars': 'error',
	'no-implicit-globals': 'off',
	'no-var': 'error',
	'prefer-const': 'error',
	/* Texts for translation stay in one piece. */
	'max-len': [ 'error', { code: 160, tabWidth: 4, ignoreStrings: true, ignoreRegExpLiterals: true } ],
	/* LuCI puts HTML strings into documents by these: texts of others would become markup. */
	'no-restricted-properties': [ 'error', ...[ 'innerHTML', 'outerHTML', 'insertAdjacentHTML' ].map(property => ({ property })) ],
	'no-restricted-globals': [ 'error', 'eval' ]
};

/* 'require a.b as c'; at the top of a LuCI module brings names in. */
const required = {
	rules: {
		names: {
			create: context => ({
				Program(node) {
					for (const { directive } of node.body.filter(each => each.directive)) {
						const [ , module, as ] = /^require ([\w.-]+)(?: as (\w+))?$/.exec(directive) ?? [];
						const name = as ?? module?.replace(/\W/g, '_');
						const scope = context.sourceCode.scopeManager.globalScope;
						const uses = scope.through.filter(reference => reference.identifier.name == name);
						if (module && !uses.length)
							context.report({ node, message: `'${module}' is required and not used` });
						scope.through = scope.through.filter(reference => !uses.includes(reference));
					}
				}
			})
		}
	}
};

export default [
	{ ignores: [ 'node_modules', '.venv', 'build', 'dist' ] },
	js.configs.recommended,
	{
		files: [ 'htdocs/**/*.js' ],
		plugins: { required },
		languageOptions: {
			ecmaVersion: 2022,
			sourceType: 'script',
			parserOptions: { ecmaFeatures: { globalReturn: true } },
			globals: { ...globals.browser, _: 'readonly', N_: 'readonly', E: 'readonly', L: 'readonly' }
		},
		rules: { ...STRICT, 'required/names': 'error' }
	},
	{
		files: [ 'netpath/lab/luci/*.js' ],
		languageOptions: { ecmaVersion: 2022, sourceType: 'module', globals: globals.browser },
		rules: STRICT
	},
	{
		files: [ 'tests/luci*/*.mjs', 'eslint.config.mjs' ],
		languageOptions: { ecmaVersion: 2022, sourceType: 'module', globals: globals.node },
		/* A case a line, however long its texts are. */
		rules: { ...STRICT, 'max-len': [ 'error', { code: 180, tabWidth: 4 } ] }
	}
];
