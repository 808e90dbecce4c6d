"""Longhaul: durable jobs made of many expensive items."""
