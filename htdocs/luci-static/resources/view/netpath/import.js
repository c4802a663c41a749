// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require uci';
'require ui';
'require view';
'require netpath.api as api';
'require netpath.fields as fields';
'require netpath.native as native';
'require netpath.parts as parts';
'require netpath.report as report';
'require netpath.tools as tools';

const TYPES = [ 'globals', 'interface', 'member', 'policy', 'rule' ];

/* How many sections of a type. */
function words(type, count) {
	switch (type) {
	case 'globals': return N_(count, '%d section of settings', '%d sections of settings').format(count);
	case 'interface': return N_(count, '%d interface', '%d interfaces').format(count);
	case 'member': return N_(count, '%d member', '%d members').format(count);
	case 'policy': return N_(count, '%d policy', '%d policies').format(count);
	case 'rule': return N_(count, '%d rule', '%d rules').format(count);
	default: return '%d × %s'.format(count, type);
	}
}

function countWords(sections) {
	const known = [ ...TYPES, ...Object.keys(sections).filter(type => !TYPES.includes(type)) ];
	return known.filter(type => sections[type]).map(type => words(type, sections[type])).join(', ');
}

function countTypes(sections) {
	const found = {};
	for (const section of sections)
		found[section['.type']] = (found[section['.type']] ?? 0) + 1;
	return found;
}

return view.extend({
	load: () => Promise.all([
		api.import(),
		L.resolveDefault(fields.load().then(() => uci.sections('netpath')), [])
	]),

	render([ preview, present ]) {
		tools.style();
		this.preview = preview;
		this.present = present;
		return E('div', {}, [
			E('h2', {}, [ _('Import from mwan3') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('What NetPath would make of the configuration of mwan3. Nothing is changed before you say so, and mwan3\'s own file stays as it is.') ]),
			...this.content()
		]);
	},

	content() {
		const preview = this.preview;
		if (preview.error)
			return [ parts.obstacle(preview) ];
		if (!preview.found)
			return [ parts.notice('notice', _('There is nothing to import: %s does not exist.').format(preview.file)) ];
		const count = report.count(preview.problems, 'severity');
		return [
			parts.readonlyNotice() ?? '',
			this.summary(count),
			...(preview.problems?.length ? [ E('h3', {}, [ _('What to know') ]), E('div', { 'data-problems': '' }, tools.problems(preview.problems)) ] : []),
			...(preview.text ? [
				E('h3', {}, [ _('The configuration in NetPath\'s form') ]),
				E('pre', { 'class': 'npt-text', 'tabindex': '0', 'data-preview': '' }, [ preview.text ]),
				...this.takeOver()
			] : [])
		];
	},

	summary(count) {
		const preview = this.preview, sections = countWords(preview.sections ?? {});
		if (count.error)
			return parts.notice('error', _('%s cannot be taken over: %s.').format(preview.file, tools.counts(count)));
		if (!sections)
			return parts.notice('notice', _('There is nothing to import: %s has no section that NetPath knows.').format(preview.file));
		if (!preview.text)
			return parts.notice('warning', _('%s is too long for this page.').format(preview.file), 'netpath import mwan3 -o /etc/config/netpath --force');
		return parts.notice(count.warning ? 'warning' : 'success',
			count.warning ? _('To be taken over: %s. There are remarks: %s.').format(sections, tools.counts(count))
				: _('To be taken over: %s.').format(sections));
	},

	takeOver() {
		const enabled = this.present.some(section => section['.type'] == 'globals' && section.enabled == '1');
		this.enabled = E('input', { 'type': 'checkbox', 'checked': enabled ? 'checked' : null, 'disabled': parts.writable() ? null : 'disabled',
			'data-enabled': '' });
		return [
			E('label', { 'class': 'npt-choice' }, [ this.enabled, ' ', _('Switch NetPath on with it') ]),
			E('p', {}, [ _('mwan3 and NetPath must not steer at the same time. Before you switch NetPath on:'), ' ',
				E('code', {}, [ '/etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable' ]) ]),
			E('div', { 'class': 'npt-buttons' }, [
				tools.button(_('Take over…'), () => this.write(), { kind: 'positive', name: 'take', disabled: !parts.writable() })
			])
		];
	},

	/* Only stages the changes: LuCI's own Save & Apply, with its rollback, is the next step. */
	async write() {
		const sections = native.parse(this.preview.text);
		const old = countWords(countTypes(this.present));
		const agreed = await parts.confirm(_('Take over the configuration of mwan3?'), [
			old ? _('This replaces what NetPath has now: %s.').format(old) : _('NetPath has no configuration yet.'),
			_('The changes are listed next; only Save & Apply there makes them take effect.')
		], _('Replace'));
		if (!agreed)
			return;
		try {
			native.replace(uci, 'netpath', sections, this.enabled.checked);
			await uci.save();
			await ui.changes.init();
			ui.changes.displayChanges();
		}
		catch (error) {
			ui.addNotification(null, E('p', {}, [ _('The changes could not be saved: %s').format(error.message) ]), 'error');
		}
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
