// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

// Which part of the new connections each uplink of a policy gets: the arithmetic of netpath/steering/slots.py, so that
// a policy can be previewed while it is being edited. Tests hold it against the Python side.

const HASH_SLOTS = 256;
const MOST_SLOTS = 1000;
const MOST_CHANCES = 1000000;

function sum(numbers) {
	return numbers.reduce((total, number) => total + number, 0);
}

function gcd(a, b) {
	return b ? gcd(b, a % b) : a;
}

function highestFirst(scores) {
	return scores.map((_score, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
}

// `seats` split by weights as evenly as whole numbers can: largest remainder, the earlier one first.
function apportion(weights, seats) {
	const total = sum(weights);
	const counts = weights.map(weight => Math.floor(weight * seats / total));
	const order = highestFirst(weights.map(weight => weight * seats % total));

	for (const i of order.slice(0, seats - sum(counts)))
		counts[i]++;

	return counts;
}

// `apportion`, but a weight that would get no seat gets one of the fullest.
function seatEverybody(weights, seats) {
	const counts = apportion(weights, seats);

	while (counts.includes(0)) {
		counts[counts.indexOf(Math.max(...counts))]--;
		counts[counts.indexOf(0)]++;
	}

	return counts;
}

function reduced(weights, most) {
	const divisor = weights.reduce(gcd);

	return sum(weights) / divisor <= most ? weights.map(weight => weight / divisor) : seatEverybody(weights, most);
}

// Several members of one interface count as one whose weight is their sum.
function merged(members) {
	const found = new Map();

	for (const member of members) {
		const known = found.get(member.interface);

		found.set(member.interface, known
			? { ...known, weight: known.weight + member.weight, closed: known.closed && member.closed }
			: { interface: member.interface, metric: member.metric, weight: member.weight, closed: !!member.closed });
	}

	return [ ...found.values() ];
}

function takes(member, usable) {
	return !member.closed && usable.includes(member.interface);
}

// All members of the lowest metric that has a usable one.
function tier(members, usable) {
	const lowest = Math.min(...members.filter(member => takes(member, usable)).map(member => member.metric));

	return members.filter(member => member.metric == lowest);
}

// Finalizer of MurmurHash3.
function mixed(value) {
	value = Math.imul(value ^ value >>> 16, 0x85ebca6b);
	value = Math.imul(value ^ value >>> 13, 0xc2b2ae35);

	return (value ^ value >>> 16) >>> 0;
}

function draw(slot, uplink, weight) {
	const seed = (Math.imul(slot, 0x9e3779b1) + Math.imul(uplink, 0x85ebca77)) | 0;

	return weight / -Math.log((mixed(seed) + 0.5) / 2 ** 32);
}

// How many of the 256 slots each interface has; the slots of one that is out go to the winners of a draw.
function hashed(members, ids, usable) {
	const sorted = members.slice().sort((a, b) => ids[a.interface] - ids[b.interface]);
	const widths = seatEverybody(sorted.map(member => member.weight), HASH_SLOTS);
	const up = sorted.filter(member => takes(member, usable));
	const counts = {};
	let slot = 0;

	sorted.forEach((home, i) => {
		for (const end = slot + widths[i]; slot < end; slot++) {
			const scores = up.map(member => draw(slot, ids[member.interface], member.weight));
			const winner = takes(home, usable) ? home : up[scores.indexOf(Math.max(...scores))];

			counts[winner.interface] = (counts[winner.interface] ?? 0) + 1;
		}
	});

	return counts;
}

function slots(mode, active, members, ids, usable) {
	const names = active.map(member => member.interface);
	const weights = active.map(member => member.weight);

	switch (mode) {
	case 'failover':
		return names.map((_name, i) => i == 0 ? 1 : 0);
	case 'round-robin':
	case 'random':
		return names.map(() => 1);
	case 'weighted':
		return reduced(weights, MOST_CHANCES);
	case 'hash': {
		const counts = hashed(merged(tier(members, usable)), ids, usable);

		return names.map(name => counts[name] ?? 0);
	}
	default:
		return reduced(weights, MOST_SLOTS);
	}
}

return baseclass.extend({
	apportion,

	// Percent of new connections by interface, of the active ones only (in mode failover the others have 0); {} when none is usable. `members` in list order
	// and of one family: { interface, metric, weight, closed }; `ids`: interface -> uplink id (for mode hash); `usable`:
	// names of the interfaces that take new connections.
	of(mode, members, ids, usable) {
		const weighty = members.filter(member => member.weight > 0);
		const active = merged(tier(weighty, usable).filter(member => takes(member, usable)));

		if (!active.length)
			return {};

		const percents = apportion(slots(mode, active, weighty, ids, usable), 100);

		return Object.fromEntries(active.map((member, i) => [ member.interface, percents[i] ]));
	},

	// What happens one failure after another: the shares of each metric, lowest first, with all of its members usable.
	tiers(mode, members, ids) {
		const metrics = [ ...new Set(members.map(member => member.metric)) ].sort((a, b) => a - b);

		return metrics.map(metric => {
			const those = members.filter(member => member.metric == metric);

			return { metric, shares: this.of(mode, those, ids, those.map(member => member.interface)) };
		});
	}
});
