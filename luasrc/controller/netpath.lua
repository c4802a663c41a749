-- SPDX-License-Identifier: GPL-2.0-or-later
-- The menu entries for a LuCI that reads Lua controllers (luci-compat). Others read root/usr/share/luci/menu.d.

module("luci.controller.netpath", package.seeall)

function index()
	local root = { "admin", "network", "netpath" }
	local node = entry(root, firstchild(), _("NetPath"), 60)
	node.acl_depends = { "luci-app-netpath" }
	node.uci_depends = { netpath = true }

	local function page(name, title, order)
		entry({ root[1], root[2], root[3], name }, view("netpath/" .. name), title, order)
	end
	page("overview", _("Overview"), 10)
	page("interfaces", _("Interfaces"), 20)
	page("policies", _("Policies"), 30)
	page("rules", _("Rules"), 40)
	page("settings", _("Settings"), 50)
	page("notifications", _("Notifications"), 60)

	entry({ root[1], root[2], root[3], "monitor" }, firstchild(), _("Monitor"), 70)
	entry({ root[1], root[2], root[3], "monitor", "live" }, view("netpath/monitor"), _("Live"), 10)
	entry({ root[1], root[2], root[3], "monitor", "settings" }, view("netpath/monitoring"), _("Settings"), 20)
	entry({ root[1], root[2], root[3], "bonding" }, firstchild(), _("Bonding"), 80)
	entry({ root[1], root[2], root[3], "bonding", "live" }, view("netpath/bond"), _("Live"), 10)
	entry({ root[1], root[2], root[3], "bonding", "settings" }, view("netpath/bonding"), _("Settings"), 20)

	entry({ root[1], root[2], root[3], "tools" }, firstchild(), _("Tools"), 90)
	local function tool(name, title, order)
		entry({ root[1], root[2], root[3], "tools", name }, view("netpath/" .. name), title, order)
	end
	tool("explain", _("Explain"), 10)
	tool("diagnostics", _("Diagnostics"), 20)
	tool("troubleshooting", _("Troubleshooting"), 30)
	tool("import", _("Import"), 40)
end
