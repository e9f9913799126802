"""Log set-up, the same in every service: events with fields, on standard error."""

import sys

import structlog


def configure(service: str, level: str = "info") -> structlog.stdlib.BoundLogger:
    """Set up structlog for this process; the logger that comes back carries the service's name.

    Lines are JSON unless a person is looking at the terminal. Raises KeyError for an unknown level.
    """
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    readable = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(levels[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(service=service)
    return logger
