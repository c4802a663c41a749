// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require dom';
'require ui';
'require netpath.api as api';
'require netpath.format as format';

/* Pieces of pages: badges, notices, orders. */

const SVG = 'http://www.w3.org/2000/svg';

return baseclass.extend({
	/* Puts the pages' style sheet into the document, once. */
	style() {
		const href = L.resource('netpath/netpath.css');
		if (!document.querySelector('link[href="%s"]'.format(href)))
			document.head.appendChild(E('link', { 'rel': 'stylesheet', 'href': href }));
	},

	/* An SVG element; `children` may hold texts, empty ones are left out. */
	svg(name, attributes, children) {
		const node = document.createElementNS(SVG, name);
		for (const [ key, value ] of Object.entries(attributes ?? {}))
			if (value != null)
				node.setAttribute(key, value);
		for (const child of children ?? [])
			if (child)
				node.append(child);
		return node;
	},

	/* A state as a coloured word with a sign; `state` as of format.state, when it is not one of an interface. */
	badge(status, state = format.state(status)) {
		return E('span', { 'class': 'np-badge np-' + state.tone, 'data-state': status },
			[ E('span', { 'aria-hidden': 'true' }, [ state.sign ]), ' ', state.text ]);
	},

	/* tone: error, warning, notice, success. `remedy` is a command, or a sentence. */
	notice(tone, text, remedy) {
		return E('div', { 'class': 'alert-message ' + tone, 'role': tone == 'error' ? 'alert' : 'status' }, [
			E('p', {}, [ String(text) ]),
			remedy ? E('p', {}, [ _('What to do:'), ' ', /^\/|^(logread|uci|netpath|apk|opkg) /.test(remedy)
				? E('code', {}, [ remedy ]) : String(remedy) ]) : ''
		]);
	},

	/* What stands in the way of a whole page, from the reply of `status`; null when nothing does. */
	obstacle(status) {
		if (status?.error) {
			const stopped = status.running === false;
			const notice = this.notice(stopped ? 'warning' : 'error',
				stopped ? _('NetPath is stopped: nothing is tracked or steered.') : status.error, status.remedy);
			if (stopped)
				notice.append(E('p', { 'class': 'np-small' }, [ status.error ]));
			return notice;
		}
		if (status?.problem)
			return this.notice('warning', status.problem, _('See Settings and Interfaces, or ask Diagnostics.'));
		return null;
	},

	/* null while write access is there. */
	readonlyNotice() {
		return L.hasViewPermission() === false
			? this.notice('notice', _('You may look at everything here, but not change it: your access is read-only.')) : null;
	},

	writable() {
		return L.hasViewPermission() !== false;
	},

	/* Shows the failure of an order; resolves to whether it went well. */
	async order(method, given, done) {
		const reply = await api[method](given);
		if (reply.error)
			ui.addNotification(null, E('p', {}, [ reply.error, reply.remedy ? ' ' + reply.remedy : '' ]), 'error');
		else if (done)
			ui.addNotification(null, E('p', {}, [ done ]), 'info');
		return !reply.error;
	},

	/* Asks first. Resolves to true when the user agrees; Escape and Cancel both mean no. */
	confirm(title, sentences, label) {
		const asked = document.activeElement;
		return new Promise(resolve => {
			const answer = agreed => {
				document.removeEventListener('keydown', escape);
				ui.hideModal();
				asked?.focus?.();
				resolve(agreed);
			};
			const escape = event => {
				if (event.key == 'Escape')
					answer(false);
			};
			const cancel = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'click': () => answer(false) }, [ _('Cancel') ]);
			document.addEventListener('keydown', escape);
			ui.showModal([ title ], [
				...sentences.map(sentence => E('p', {}, [ sentence ])),
				E('div', { 'class': 'right' }, [
					cancel, ' ',
					E('button', { 'class': 'btn cbi-button cbi-button-negative important', 'type': 'button',
						'data-answer': 'yes', 'click': () => answer(true) }, [ label ])
				])
			]);
			cancel.focus();
		});
	},

	/* Names with their values, as definition list; rows without a value are left out. */
	facts(pairs) {
		return E('dl', { 'class': 'np-facts' }, pairs.filter(([ , value ]) => value != null && value !== '' && value.length !== 0)
			.flatMap(([ name, value ]) => [ E('dt', {}, [ name ]), E('dd', {}, Array.isArray(value) ? value : [ value ]) ]));
	},

	/* Makes the children of `list` the nodes of things that `kept` (a Map) keeps, one for each [ name, value ] of `entries`
	 * in their order. make(name, value) -> a thing with `node`; update(thing, value). */
	keep(list, kept, entries, make, update) {
		const wanted = new Map(entries);
		for (const name of [ ...kept.keys() ].filter(each => !wanted.has(each)))
			kept.delete(name);
		for (const [ name, value ] of wanted) {
			if (!kept.has(name))
				kept.set(name, make(name, value));
			update(kept.get(name), value);
		}
		const nodes = [ ...wanted.keys() ].map(name => kept.get(name).node);
		if (nodes.length != list.children.length || nodes.some((node, at) => node !== list.children[at]))
			dom.content(list, nodes);
	},

	/* Replaces the content of `node` only when `key` has changed, so that focus and selection stay. */
	refresh(node, key, make) {
		if (node.dataset.key === key)
			return;
		node.dataset.key = key;
		dom.content(node, make());
	}
});
