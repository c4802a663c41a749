// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/* Figures and states in words. Pure: nothing here asks or draws. */

const NOTHING = '–';

function known(figure) {
	return typeof figure == 'number' && isFinite(figure);
}

/* Three significant digits at most: 0.48, 9.60, 12.3, 123. */
function digits(figure) {
	const size = Math.abs(figure);
	return figure.toFixed(size >= 99.95 || figure == 0 ? 0 : size >= 9.95 ? 1 : 2).replace(/\.0+$/, '');
}

function scaled(figure, base, units) {
	let step = 0;
	while (step < units.length - 1 && Math.abs(figure) >= base - 0.5) {
		figure /= base;
		step++;
	}
	return '%s %s'.format(digits(figure), units[step]);
}

return baseclass.extend({
	NOTHING,

	/* Bytes -> "1.5 GB", by thousands. */
	bytes(count) {
		return known(count) ? scaled(count, 1000, [ _('B'), _('kB'), _('MB'), _('GB'), _('TB') ]) : NOTHING;
	},

	/* Bytes a second -> "9.60 Mbit/s": what providers sell. */
	rate(bytes) {
		return known(bytes) ? scaled(bytes * 8, 1000, [ _('bit/s'), _('kbit/s'), _('Mbit/s'), _('Gbit/s') ]) : NOTHING;
	},

	/* Milliseconds. */
	ms(figure) {
		return known(figure) ? _('%s ms').format(digits(figure)) : NOTHING;
	},

	percent(figure) {
		return known(figure) ? _('%s %%').format(digits(figure)) : NOTHING;
	},

	count(figure) {
		return known(figure) ? String(Math.round(figure)) : NOTHING;
	},

	/* Seconds -> "3 h 12 min": the two largest units. */
	duration(seconds) {
		if (!known(seconds))
			return NOTHING;
		const whole = Math.max(0, Math.round(seconds));
		const parts = [
			[ Math.floor(whole / 86400), _('%d d') ],
			[ Math.floor(whole / 3600) % 24, _('%d h') ],
			[ Math.floor(whole / 60) % 60, _('%d min') ],
			[ whole % 60, _('%d s') ]
		];
		const first = parts.findIndex(part => part[0] > 0);
		if (first < 0)
			return _('%d s').format(0);
		return parts.slice(first, first + 2).filter(part => part[0] > 0)
			.map(part => part[1].format(part[0])).join(' ');
	},

	/* Epoch seconds -> "3 min ago", in the largest unit. `now`: of the same clock. */
	ago(epoch, now) {
		if (!known(epoch))
			return _('never');
		const passed = Math.floor(now - epoch);
		if (passed < 2)
			return _('just now');
		const size = [ 86400, 3600, 60, 1 ].find(unit => passed >= unit);
		return _('%s ago').format(this.duration(passed - passed % size));
	},

	/* Epoch seconds -> time of the viewer's clock; with the date when it is not today's. */
	moment(epoch, now) {
		if (!known(epoch))
			return NOTHING;
		const then = new Date(epoch * 1000), today = now == null ? new Date() : new Date(now * 1000);
		return then.toDateString() == today.toDateString() ? then.toLocaleTimeString() : then.toLocaleString();
	},

	/* State of an interface -> { text, tone, sign }. Tones: good, busy, bad, off. The sign says it without colour. */
	state(status) {
		switch (status) {
		case 'online': return { text: _('online'), tone: 'good', sign: '✔' };
		case 'connecting': return { text: _('connecting'), tone: 'busy', sign: '↗' };
		case 'disconnecting': return { text: _('disconnecting'), tone: 'busy', sign: '!' };
		case 'offline': return { text: _('offline'), tone: 'bad', sign: '✘' };
		case 'disabled': return { text: _('switched off'), tone: 'off', sign: '⏻' };
		default: return { text: status ? String(status) : _('unknown'), tone: 'off', sign: '?' };
		}
	},

	/* State of something that the monitor tries again and again, likewise. */
	health(status) {
		switch (status) {
		case 'healthy': return { text: _('healthy'), tone: 'good', sign: '✔' };
		case 'starting': return { text: _('starting'), tone: 'busy', sign: '↗' };
		case 'idle': return { text: _('nothing sent yet'), tone: 'off', sign: '○' };
		case 'failing': return { text: _('failing'), tone: 'bad', sign: '✘' };
		case 'given up': return { text: _('given up'), tone: 'bad', sign: '■' };
		default: return { text: status ? String(status).slice(0, 40) : _('unknown'), tone: 'off', sign: '?' };
		}
	},

	/* State of a bond's peer or path, likewise. */
	link(status) {
		switch (status) {
		case 'up': return { text: _('up'), tone: 'good', sign: '✔' };
		case 'proving': return { text: _('being proved'), tone: 'busy', sign: '↗' };
		case 'connecting': return { text: _('connecting'), tone: 'busy', sign: '↗' };
		case 'down': return { text: _('down'), tone: 'bad', sign: '✘' };
		default: return { text: status ? String(status).slice(0, 40) : _('unknown'), tone: 'off', sign: '?' };
		}
	},

	family(family) {
		return { ipv4: 'IPv4', ipv6: 'IPv6' }[family] ?? (family ? String(family) : NOTHING);
	},

	mode(mode) {
		switch (mode) {
		case 'balanced': return _('balanced by weight');
		case 'failover': return _('failover');
		case 'round-robin': return _('one after another');
		case 'hash': return _('by source address');
		case 'weighted': return _('at random by weight');
		case 'random': return _('at random');
		default: return mode ? String(mode) : NOTHING;
		}
	},

	/* One event of the journal -> { tone, text }. */
	event(event) {
		const reason = event.reason ? ': ' + event.reason : '';
		if (event.kind == 'interface') {
			const to = this.state(event.to);
			return { tone: to.tone, text: _('%s is %s (was %s)').format(event.interface, to.text, this.state(event.from).text) + reason };
		}
		if (event.kind == 'member') {
			const open = event.to == 'open';
			return { tone: open ? 'good' : 'off', text: (open ? _('member %s of %s opened') : _('member %s of %s closed'))
				.format(event.member, event.interface) + reason };
		}
		if (event.kind == 'switch')
			return { tone: 'off', text: _('policies were switched: %s').format(event.cause) };
		return { tone: event.kind == 'error' ? 'bad' : event.kind == 'table' ? 'busy' : 'off',
			text: event.message ? String(event.message) : String(event.kind) };
	}
});
