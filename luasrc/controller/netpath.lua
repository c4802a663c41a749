-- SPDX-License-Identifier: GPL-2.0-or-later
-- The menu entry for a LuCI that reads Lua controllers (luci-compat). Others read root/usr/share/luci/menu.d.

module("luci.controller.netpath", package.seeall)

function index()
	local node = entry({"admin", "network", "netpath"}, view("netpath/status"), _("NetPath"), 60)
	node.acl_depends = { "luci-app-netpath" }
	node.uci_depends = { netpath = true }
end
