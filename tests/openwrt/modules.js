// SPDX-License-Identifier: GPL-2.0-or-later
// Loads LuCI modules that need no browser and calls them: one request a line on stdin, one answer a line on stdout.
// A request is { "module", "function", "arguments" }.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const resources = path.join(__dirname, '../../htdocs/luci-static/resources');
const loaded = {};

// LuCI's own, as far as these modules use it.
String.prototype.format = function(...values) {
	return this.replace(/%[sd]/g, () => String(values.shift()));
};

function load(name) {
	if (name == 'baseclass')
		return { extend: members => members };

	if (!loaded[name]) {
		const source = fs.readFileSync(path.join(resources, `${name.replace(/\./g, '/')}.js`), 'utf8');
		const wanted = [ ...source.matchAll(/^'require ([\w.]+)(?: as (\w+))?';$/gm) ];

		loaded[name] = new Function('_', ...wanted.map(line => line[2] ?? line[1]), source)(
			text => text, ...wanted.map(line => load(line[1])));
	}

	return loaded[name];
}

readline.createInterface({ input: process.stdin }).on('line', line => {
	const request = JSON.parse(line);
	const module = load(request.module);

	process.stdout.write(`${JSON.stringify(module[request.function](...request.arguments) ?? null)}\n`);
});
