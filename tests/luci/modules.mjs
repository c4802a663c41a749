// SPDX-License-Identifier: GPL-2.0-or-later
/* Loads LuCI modules of NetPath without a browser, with what they require. */

import { readFileSync } from 'node:fs';
import { Base, evaluate, requirements } from '../../netpath/lab/luci/classes.js';

const RESOURCES = new URL('../../htdocs/luci-static/resources/', import.meta.url);

/* given: { module: object } stands for modules that only a browser has. globals: more names, such as L. */
export function load(name, given = {}, globals = {}) {
	const source = readFileSync(new URL(`${name.replaceAll('.', '/')}.js`, RESOURCES), 'utf8');
	const modules = { baseclass: Base, dom: {}, rpc: {}, ui: {}, ...given };
	const required = requirements(source).map(({ module, as }) => [ as, modules[module] ?? load(module, given, globals) ]);
	return new (evaluate(source, Object.fromEntries(required), { _: text => text, E: () => null, L: {}, ...globals }))();
}
