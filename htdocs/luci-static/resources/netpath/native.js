// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/* UCI text in the form in which NetPath writes it: one word or one single-quoted value after each keyword. Pure. */

const WORD = "'((?:[^']|'\\\\'')*)'";
const HEAD = new RegExp(`^config (\\w+)(?: ${WORD})?$`);
const LINE = new RegExp(`^\\t(option|list) (\\w+) ${WORD}$`);

function plain(quoted) {
	return quoted.replaceAll("'\\''", "'");
}

function quoted(value) {
	return "'" + String(value).replaceAll("'", "'\\''") + "'";
}

return baseclass.extend({
	/* -> [{ type, name or null, options: { name: text or [text] } }]. Throws an Error that names the line that it does
	 * not understand: half a configuration is worse than none. */
	parse(text) {
		const sections = [];
		text.split('\n').forEach((line, index) => {
			const head = line.match(HEAD), option = line.match(LINE);
			if (head)
				sections.push({ type: head[1], name: head[2] === undefined ? null : plain(head[2]), options: {} });
			else if (option && sections.length) {
				const options = sections[sections.length - 1].options, [ , keyword, name, value ] = option;
				if (keyword == 'list')
					(options[name] ??= []).push(plain(value));
				else
					options[name] = plain(value);
			}
			else if (line !== '')
				throw new Error('line %d: %s'.format(index + 1, line));
		});
		return sections;
	},

	/* The other way round, from sections as LuCI's uci has them. */
	text(sections) {
		return sections.map(section => [
			'config ' + section['.type'] + (section['.anonymous'] ? '' : ' ' + quoted(section['.name'])),
			...Object.entries(section).filter(([ name ]) => name[0] != '.').flatMap(([ name, value ]) => Array.isArray(value)
				? value.map(each => '\tlist %s %s'.format(name, quoted(each))) : [ '\toption %s %s'.format(name, quoted(value)) ])
		].join('\n') + '\n').join('\n');
	},

	/* Sections of parse() as LuCI's uci has them: { name: section }. */
	asUci(sections) {
		return Object.fromEntries(sections.map(({ type, name, options }, index) => {
			const sid = name ?? `cfg${index}`;

			return [ sid, { ...options, '.type': type, '.name': sid, '.anonymous': name == null, '.index': index } ];
		}));
	},

	/* Puts `sections` (of parse) in the place of those that `uci` has of the package `config`. With `enabled`, that is
	 * what the switch in globals says afterwards. Nothing is sent before uci.save(). */
	replace(uci, config, sections, enabled) {
		for (const old of uci.sections(config))
			uci.remove(config, old['.name']);
		const wanted = sections.some(section => section.type == 'globals') ? sections
			: [ { type: 'globals', name: 'globals', options: {} }, ...sections ];
		for (const section of wanted) {
			const sid = uci.add(config, section.type, section.name ?? undefined);
			const options = section.type == 'globals' ? { ...section.options, enabled: enabled ? '1' : '0' } : section.options;
			for (const [ name, value ] of Object.entries(options))
				uci.set(config, sid, name, value);
		}
	}
});
