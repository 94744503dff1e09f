"""OpenTelemetry's SDK and a client of Loki against a running server: what programs log with.

usage: push.py otlp|loki http://HOST:PORT     says on its last line how many lines it sent
"""
import logging
import sys

LINES = 250


def otlp(url):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create({"service.name": "otel-shop", "k8s.namespace.name": "prod", "k8s.pod.name": "otel-shop-1"})
    provider = LoggerProvider(resource=resource)
    exporter = OTLPLogExporter(endpoint=f"{url}/v1/logs", compression=Compression.Gzip)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_export_batch_size=100))
    logger = logging.getLogger("shop.cart")
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    for n in range(LINES):
        level = logging.ERROR if n % 10 == 0 else logging.INFO
        logger.log(level, f"order {n} paid", extra={"order": n, "customer": f"c{n % 7}"})
    # Flushes: returns when all that was sent is acknowledged.
    provider.shutdown()


def loki(url):
    import logging_loki

    handler = logging_loki.LokiHandler(
        url=f"{url}/loki/api/v1/push", tags={"service_name": "loki-shop", "namespace": "prod", "app": "cart"}, version="1"
    )
    failed = []
    handler.handleError = lambda record: failed.append(sys.exc_info()[1])
    logger = logging.getLogger("loki")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    for n in range(LINES):
        logger.info(f"order {n} shipped", extra={"tags": {"level": "info"}})
    if failed:
        raise SystemExit(f"{len(failed)} of {LINES} lines were refused: {failed[0]!r}")


{"otlp": otlp, "loki": loki}[sys.argv[1]](sys.argv[2])
print(LINES)
