// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require rpc';
'require view';
'require netpath.api as api';
'require netpath.native as native';
'require netpath.parts as parts';
'require netpath.report as report';
'require netpath.tools as tools';

const EVENTS = 100;

const callConfig = rpc.declare({ object: 'uci', method: 'get', params: [ 'config' ], expect: { values: {} }, reject: true });

return view.extend({
	/* Each is asked for alone: what fails is a line of the report, and keeps nothing else from it. */
	async collect() {
		const [ version, status, diag, check, events, internal, config ] = await Promise.all([
			api.version(), api.status(), api.diag(), api.check(), api.events({ limit: EVENTS }), api.internal(),
			this.configuration()
		]);
		return { replies: { version, status, diag, check, events, internal }, sections: config, when: new Date() };
	},

	/* Sections as LuCI's uci has them; null when nobody gives them. */
	async configuration() {
		const found = parts.writable() ? await callConfig('netpath').catch(() => null)
			: await api.config().then(reply => reply.sections && native.asUci(reply.sections));
		return found ? Object.values(found).sort((a, b) => a['.index'] - b['.index']) : null;
	},

	render() {
		tools.style();
		this.text = E('textarea', { 'class': 'npt-text', 'readonly': 'readonly', 'spellcheck': 'false', 'wrap': 'off',
			'aria-label': _('The report') });
		this.obstacle = E('div', { 'aria-live': 'polite' });
		const choice = (name, label) => {
			const box = E('input', { 'type': 'checkbox', 'checked': 'checked', 'data-mask': name, 'change': () => this.show() });
			return { name, box, label: E('label', { 'class': 'npt-choice' }, [ box, ' ', label ]) };
		};
		this.choices = [
			choice('addresses', _('Mask public IP addresses')),
			choice('macs', _('Mask hardware addresses')),
			choice('names', _('Mask user names, host names and names of Wi-Fi networks'))
		];
		this.run();
		return E('div', {}, [
			E('h2', {}, [ _('Troubleshooting') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('One text to attach to a bug report: versions, states, findings, events, the configuration, and what NetPath has in the kernel. It is in English, and stays in your browser until you send it to somebody.') ]),
			this.obstacle,
			E('fieldset', { 'class': 'cbi-section' }, [
				E('legend', {}, [ _('What strangers need not know') ]),
				...this.choices.map(each => each.label),
				E('p', {}, [ _('Passwords and keys are always masked. Read the text before you publish it all the same.') ])
			]),
			E('div', { 'class': 'npt-buttons' }, [
				tools.saveButton(_('Download'), () => 'netpath-report-%s.txt'.format(tools.stamp(new Date())), () => this.text.value),
				tools.copyButton(() => this.text.value),
				tools.button(_('Collect again'), () => this.run(), { kind: 'action', name: 'run' })
			]),
			this.text
		]);
	},

	async run() {
		this.found = null;
		this.text.value = _('Collecting…');
		this.found = await this.collect();
		this.show();
	},

	show() {
		if (this.found == null)
			return;
		const masked = Object.fromEntries(this.choices.map(each => [ each.name, each.box.checked ]));
		this.text.value = report.troubleshooting(this.found.replies, this.found.sections, masked, this.found.when);
		const obstacle = parts.obstacle(this.found.replies.status);
		this.obstacle.replaceChildren(...(obstacle ? [ obstacle,
			E('p', {}, [ _('The report has less in it then, but what can be told is there.') ]) ] : []));
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
