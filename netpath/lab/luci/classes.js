// SPDX-License-Identifier: GPL-2.0-or-later
/* The part of the stand-in that needs no browser: LuCI's classes, text formatting and module format.
 *
 * A LuCI module is the body of a function. `'require a.b as c';` at its top names what it wants; it returns a class. */

String.prototype.format = function(...values) {
	return this.replace(/%([%sd])/g, (_, kind) => {
		if (kind == '%')
			return '%';
		const value = values.shift();
		return kind == 'd' ? String(Math.trunc(Number(value)) || 0) : String(value);
	});
};

export class Base {
	constructor(...values) {
		this.__init__?.(...values);
	}

	static extend(members) {
		const derived = class extends this {};
		Object.defineProperties(derived.prototype, Object.getOwnPropertyDescriptors(members));
		return derived;
	}
}

/* The names that a module's source requires: [{ module, as }]. */
export function requirements(source) {
	return [ ...source.matchAll(/^'require ([\w.-]+)(?: as (\w+))?';/gm) ]
		.map(([ , module, as ]) => ({ module, as: as ?? module.replace(/\W/g, '_') }));
}

/* Runs a module's source with what it requires and these globals; its class. */
export function evaluate(source, required, globals) {
	const names = { ...globals, ...required };
	return new Function(...Object.keys(names), source)(...Object.values(names));
}
