"""The routes; the services behind them decide."""
