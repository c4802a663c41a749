// SPDX-License-Identifier: GPL-2.0-or-later
/* LuCI's modules that ask nobody anything, for node: `'use strict'; 'require a.b as c'; ...; return baseclass.extend()`. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const RESOURCES = fileURLToPath(new URL('../../htdocs/luci-static/resources/', import.meta.url));

/* LuCI's own has more forms; ours are these. */
String.prototype.format = function(...values) {
	return this.replace(/%([sd%])/g, (whole, kind) => kind == '%' ? '%' : kind == 'd' ? String(Math.floor(Number(values.shift()))) : String(values.shift()));
};

const GLOBALS = {
	_: text => text,
	N_: (count, one, many) => count == 1 ? one : many,
	L: {
		isObject: value => value !== null && typeof value == 'object' && !Array.isArray(value),
		toArray: value => value == null ? [] : Array.isArray(value) ? value : [ value ]
	},
	baseclass: { extend: members => members }
};

export function load(name) {
	const source = readFileSync(RESOURCES + name.replaceAll('.', '/') + '.js', 'utf-8');
	const scope = { ...GLOBALS };
	for (const [ , module, alias ] of source.matchAll(/^'require ([\w.-]+)(?: as (\w+))?';$/gm))
		if (module != 'baseclass')
			scope[alias ?? module] = load(module);
	return new Function(...Object.keys(scope), source)(...Object.values(scope));
}
