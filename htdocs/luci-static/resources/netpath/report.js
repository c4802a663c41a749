// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.native as native';
'require netpath.schema as schema';
'require netpath.secrets as secrets';

/* Texts to hand on to others, and counts of findings. Pure. They are in English whatever the page is in, because they
 * are for a bug tracker. */

const RANKS = [ 'error', 'warning', 'ok' ];
const EVENTS = 100;

function table(rows) {
	const widths = [];
	for (const row of rows)
		row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
	return rows.map(row => row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd());
}

function or(value) {
	return value == null || value === '' ? '-' : String(value);
}

function figure(value, unit) {
	return typeof value == 'number' ? String(Math.round(value * 100) / 100) + unit : '-';
}

/* A failed request is part of the report, too. */
function failed(reply) {
	return reply?.error ? [ 'error: ' + reply.error, ...(reply.remedy ? [ 'remedy: ' + reply.remedy ] : []) ] : null;
}

function statusLines(reply) {
	const lines = [];
	if (reply.problem)
		lines.push('problem: ' + reply.problem);
	const rows = Object.entries(reply.interfaces ?? {}).map(([ name, row ]) => [
		name, or(row.status), or(row.family), or(row.device), 'gateway ' + or(row.gateway), 'latency ' + figure(row.latency, ' ms'),
		'loss ' + figure(row.packetloss, ' %'), (row.addresses ?? []).join(' '), or(row.reason)
	]);
	lines.push(...table(rows));
	for (const [ name, row ] of Object.entries(reply.interfaces ?? {}))
		for (const target of row.track_ip ?? [])
			lines.push('%s asks %s: %s'.format(name, target.ip, target.status));
	for (const [ family, policies ] of Object.entries(reply.policies ?? {}))
		for (const [ name, shares ] of Object.entries(policies ?? {}))
			lines.push('policy %s, %s: %s'.format(name, family,
				shares.map(share => '%s %d %%'.format(share.interface, share.percent)).join(', ') || 'none usable'));
	for (const [ name, member ] of Object.entries(reply.members ?? {}))
		lines.push('member %s of %s is %s: %s'.format(name, member.interface, member.open ? 'open' : 'closed', or(member.reason)));
	return lines;
}

function problemLine(problem) {
	const place = problem.file + (problem.line == null ? '' : ':' + problem.line);
	const subject = [ problem.section, problem.option == null ? null : 'option %s'.format(problem.option) ].filter(each => each).join(', ');
	const value = problem.value == null || problem.value === '' ? '' : " '%s'".format(problem.value);
	return '%s: %s: %s%s: %s. Fix: %s'.format(place, problem.severity, subject, value, problem.message, problem.fix);
}

function eventLine(event) {
	const what = [ event.kind, event.interface, event.member ].filter(each => each).join(' ');
	const change = event.to ? '%s -> %s'.format(or(event.from), event.to) : '';
	return [ new Date(event.time * 1000).toISOString(), what, change, or(event.reason ?? event.message) ].filter(each => each).join('  ');
}

function internalLines(reply) {
	const lines = [];
	for (const [ heading, value ] of Object.entries(reply)) {
		lines.push('', '[' + heading + ']');
		if (Array.isArray(value))
			lines.push(...value.map(String));
		else if (L.isObject(value))
			lines.push(...Object.entries(value).map(([ name, each ]) => name + ': ' + each));
		else
			lines.push(String(value));
	}
	return lines.slice(1);
}

function diagLines(reply) {
	const rows = (reply.checks ?? []).map(check => [ String(check.status).toUpperCase(), check.topic,
		check.message + (check.remedy ? ' -> ' + check.remedy : '') ]);
	return table(rows);
}

return baseclass.extend({
	RANKS,

	/* Things with a `status` or `severity` -> { error, warning, ok }. */
	count(findings, key) {
		const found = { error: 0, warning: 0, ok: 0 };
		for (const finding of findings ?? [])
			found[RANKS.includes(finding[key]) ? finding[key] : 'warning']++;
		return found;
	},

	/* Checks -> [[topic, its checks]], in the order in which topics come first. */
	topics(checks) {
		const found = new Map();
		for (const check of checks ?? [])
			found.set(check.topic, [ ...(found.get(check.topic) ?? []), check ]);
		return [ ...found ];
	},

	/* The worst status among checks. */
	worst(checks) {
		return RANKS.find(rank => checks.some(check => check.status == rank)) ?? 'ok';
	},

	diagnosis(reply, now) {
		const count = this.count(reply.checks, 'status');
		return [ 'NetPath diagnostics, %s: %d errors, %d warnings'.format(now.toISOString(), count.error, count.warning), '',
			...(failed(reply) ?? diagLines(reply)) ].join('\n') + '\n';
	},

	/* replies: { version, status, diag, check, events, internal }, each of the ubus object; sections: those of
	 * /etc/config/netpath as LuCI's uci has them, or null. choices: as for secrets.mask. */
	troubleshooting(replies, sections, choices, now) {
		const part = (title, reply, lines) => [ '', '===== ' + title, ...(reply == null ? [ 'not asked' ] : failed(reply) ?? lines(reply)),
			...(reply?.truncated ? [ '(there is more)' ] : []) ];
		const text = [
			'NetPath report, ' + now.toISOString(),
			...part('versions', replies.version, reply => Object.entries(reply).map(([ name, value ]) => name + ': ' + value)),
			...part('status', replies.status, statusLines),
			...part('diagnostics', replies.diag, diagLines),
			...part('configuration problems', replies.check, reply => (reply.problems ?? []).map(problemLine)),
			...part('last events', replies.events, reply => (reply.events ?? []).slice(-EVENTS).map(eventLine)),
			'', '===== configuration', ...(sections == null ? [ 'it cannot be read' ] : [ native.text(sections).trimEnd() ]),
			...part('kernel', replies.internal, internalLines)
		].join('\n') + '\n';
		return secrets.mask(text, choices, this.knownSecrets(replies.check, sections));
	},

	/* Values of options that hold passwords or keys: a sentence that quotes one need not name its option. Addresses too may
	 * have one in them: those that the schema knows to be secret. */
	knownSecrets(check, sections) {
		const found = (check?.problems ?? []).filter(problem => problem.option && secrets.isSecret(problem.option)).map(problem => problem.value);
		for (const section of sections ?? [])
			for (const [ name, value ] of Object.entries(section))
				if (name[0] != '.' && (secrets.isSecret(name) || schema.sections[section['.type']]?.options[name]?.secret))
					found.push(...L.toArray(value));
		return found.filter(each => each);
	}
});
