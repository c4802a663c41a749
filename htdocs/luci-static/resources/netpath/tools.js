// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require ui';
'require netpath.parts as parts';

/* What the pages under Tools have in common. */

/* How long a button says that the text is copied. */
const SAID = 2500;

function selected(field) {
	field.focus();
	field.select();
	return document.execCommand('copy');
}

return baseclass.extend({
	style() {
		parts.style();
		const href = L.resource('netpath/tools.css');
		if (!document.querySelector('link[href="%s"]'.format(href)))
			document.head.appendChild(E('link', { 'rel': 'stylesheet', 'href': href }));
	},

	/* "ok", "warning" or "error" as a coloured word. */
	status(status) {
		const [ word, tone ] = status == 'error' ? [ _('Error'), 'npt-error-word' ]
			: status == 'warning' ? [ _('Warning'), 'npt-warning' ] : [ _('OK'), 'npt-ok' ];
		return E('span', { 'class': 'npt-status ' + tone, 'data-status': status }, [ word ]);
	},

	/* The counts of findings in words. */
	counts(count) {
		return [
			N_(count.error, '%d error', '%d errors').format(count.error),
			N_(count.warning, '%d warning', '%d warnings').format(count.warning)
		].join(', ');
	},

	button(label, action, choices) {
		return E('button', { 'type': 'button', 'class': 'btn cbi-button cbi-button-' + (choices?.kind ?? 'neutral'),
			'data-action': choices?.name, 'disabled': choices?.disabled ? 'disabled' : null,
			'click': ui.createHandlerFn(this, action) }, [ label ]);
	},

	/* Copies what text() gives. Routers are reached by plain HTTP, where browsers have no clipboard for scripts; there a
	 * selected text field is copied. */
	copyButton(text) {
		const button = this.button(_('Copy as text'), async () => {
			let done = true;
			if (navigator.clipboard && window.isSecureContext)
				done = await navigator.clipboard.writeText(text()).then(() => true, () => false);
			else {
				const field = E('textarea', { 'style': 'position:fixed;opacity:0', 'aria-hidden': 'true', 'tabindex': '-1' });
				document.body.appendChild(field);
				field.value = text();
				done = selected(field);
				field.remove();
				button.focus();
			}
			button.firstChild.data = done ? _('Copied') : _('The browser does not allow it');
			setTimeout(() => button.firstChild.data = _('Copy as text'), SAID);
		}, { name: 'copy' });
		return button;
	},

	/* Saves what text() gives as a file, without a server. */
	saveButton(label, name, text) {
		return this.button(label, () => {
			const address = URL.createObjectURL(new Blob([ text() ], { type: 'text/plain;charset=utf-8' }));
			const link = E('a', { 'href': address, 'download': name() });
			document.body.appendChild(link);
			link.click();
			link.remove();
			setTimeout(() => URL.revokeObjectURL(address), SAID);
		}, { name: 'save' });
	},

	/* Time of day for names of files: 20261121-133100. */
	stamp(now) {
		return now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
	},

	/* Findings of a check of the configuration, each with its place and its remedy. */
	problems(problems) {
		return problems.map(problem => E('div', { 'class': 'npt-check' }, [
			E('div', {}, [ this.status(problem.severity) ]),
			E('div', {}, [
				E('strong', {}, [ [ problem.section, problem.option ].filter(each => each).join(', ') ||
					(problem.line == null ? problem.file : _('line %d').format(problem.line)) ]),
				problem.value ? E('code', {}, [ ' ', String(problem.value) ]) : '',
				': ', String(problem.message)
			]),
			problem.fix ? E('div', { 'class': 'npt-remedy' }, [ _('What to do:'), ' ', String(problem.fix) ]) : ''
		]));
	}
});
