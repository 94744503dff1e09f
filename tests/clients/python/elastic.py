"""Elasticsearch's own client, and OpenSearch's, against a running server: what users of either do every day.

usage: elastic.py elasticsearch|opensearch http://HOST:PORT PHASE     PHASE: use | again
`use` says on its last line what it did; `again` repeats a load whose answer was lost.
"""
import json
import logging
import sys
from datetime import datetime, timedelta, timezone


def equal(found, expected, what):
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, expected {expected!r}")


START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
DOCUMENTS = 1000


def document(n):
    return {
        "@timestamp": (START + timedelta(seconds=n)).isoformat(),
        "message": f"request {n} took {n % 100} ms",
        "level": "error" if n % 10 == 0 else "info",
        "service": {"name": "web" if n % 2 else "api"},
        "took": n % 100,
        "nth": n,
    }


def actions(index, op="create"):
    for n in range(DOCUMENTS):
        yield {"_op_type": op, "_index": index, "_id": f"{op}-{n}", "_source": document(n)}


def main(kind, url, phase):
    logging.disable(logging.WARNING)
    if kind == "elasticsearch":
        from elasticsearch import ApiError, Elasticsearch, helpers

        # The product check runs at the first request.
        client = Elasticsearch(url, http_compress=True)

        def search(index, **body):
            return client.search(index=index, **body)

        def count(index, query):
            return client.count(index=index, query=query)["count"]

        def field_caps(index):
            return client.field_caps(index=index, fields="*")
    else:
        from opensearchpy import OpenSearch, TransportError as ApiError, helpers

        client = OpenSearch(url, http_compress=True)

        def search(index, **body):
            if "source" in body:
                body["_source"] = body.pop("source")
            return client.search(index=index, body=body)

        def count(index, query):
            return client.count(index=index, body={"query": query})["count"]

        def field_caps(index):
            return client.field_caps(index=index, fields="*")

    index = f"{kind}-test"
    if phase == "again":
        # What a shipper does whose answer was lost: all of it again. Everything is known, nothing is doubled.
        done, errors = helpers.bulk(client, actions(index), raise_on_error=False, refresh=True)
        equal((done, {e["create"]["status"] for e in errors}, len(errors)), (0, {409}, DOCUMENTS), "a load again")
        equal(count(index, {"prefix": {"_id": "create-"}}), DOCUMENTS, "after a load again")
        print(json.dumps({"known": len(errors)}))
        return

    equal(client.info()["tagline"], "You Know, for Search", "info")
    equal(client.ping(), True, "ping")
    equal(client.cluster.health()["status"], "green", "health")
    equal(bool(client.indices.exists(index=index)), False, "an index before its first document")

    # Bulk, in the three ways the helpers have.
    equal(helpers.bulk(client, actions(index), refresh=True), (DOCUMENTS, []), "bulk")
    done = sum(ok for ok, _ in helpers.streaming_bulk(client, actions(index, "index"), chunk_size=100))
    equal(done, DOCUMENTS, "streaming_bulk")
    # The same documents once more: `index` of what is there is no error.
    done = sum(ok for ok, _ in helpers.parallel_bulk(client, actions(index, "index"), thread_count=4, chunk_size=50))
    equal(done, DOCUMENTS, "parallel_bulk")
    mixed = [
        {"_op_type": "create", "_index": index, "_id": "create-1", "_source": {"a": 1}},
        {"_op_type": "create", "_index": index, "_id": "new", "_source": {"a": 1}},
        {"_op_type": "create", "_index": "Not Allowed", "_source": {"a": 1}},
        {"_op_type": "delete", "_index": index, "_id": "new"},
    ]
    done, errors = helpers.bulk(client, mixed, raise_on_error=False, refresh="wait_for")
    statuses = [next(iter(error.values()))["status"] for error in errors]
    equal((done, statuses), (1, [409, 400, 400]), "a mixed bulk")
    equal(bool(client.indices.exists(index=index)), True, "an index with documents")
    equal(count(index, {"match_all": {}}), 2 * DOCUMENTS + 1, "all documents, each once")
    equal(count("no-such-*", {"match_all": {}}), 0, "a pattern that fits nothing")

    # Search: hits, their identities, their sources.
    created = {"prefix": {"_id": "create-"}}
    found = search(index, query={"ids": {"values": ["create-7"]}})
    equal([h["_id"] for h in found["hits"]["hits"]], ["create-7"], "by id")
    equal(found["hits"]["hits"][0]["_source"]["nth"], 7, "a source")
    equal(found["hits"]["hits"][0]["_index"], index, "an index")
    equal(found["hits"]["total"], {"value": 1, "relation": "eq"}, "a total")
    equal(client.get(index=index, id="create-7")["_source"]["message"], "request 7 took 7 ms", "get")
    for query, expected in [
        ({"term": {"level": "error"}}, 100),
        ({"terms": {"nth": [1, 2, 3]}}, 3),
        ({"range": {"took": {"gte": 98}}}, 20),
        ({"match": {"message": "request"}}, DOCUMENTS),
        ({"match_phrase": {"message": "took 7 ms"}}, 10),
        ({"wildcard": {"service.name": "w*"}}, 500),
        ({"regexp": {"service.name": "a.i"}}, 500),
        ({"exists": {"field": "service"}}, DOCUMENTS),
        ({"query_string": {"query": "level:error AND took:>50"}}, 40),
        ({"query_string": {"query": "nth:1 nth:2"}}, 2),
        ({"simple_query_string": {"query": "\"took 7 ms\"", "fields": ["message"]}}, 10),
        ({"range": {"@timestamp": {"gte": "2026-03-01T12:00:00Z", "lt": "2026-03-01T12:01:00Z"}}}, 60),
        ({"bool": {"filter": [{"term": {"level": "error"}}], "must_not": [{"term": {"service.name": "web"}}]}}, 100),
    ]:
        equal(count(index, {"bool": {"filter": [created, query]}}), expected, json.dumps(query))
    found = search(index, query=created, source=["nth", "service.*"], size=1)
    equal(sorted(found["hits"]["hits"][0]["_source"]), ["nth", "service"], "a filtered source")

    # Paging without a scroll, in both directions.
    for order in ["asc", "desc"]:
        seen, after = [], None
        while True:
            body = {"query": created, "size": 137, "sort": [{"@timestamp": order}]}
            if after:
                body["search_after"] = after
            hits = search(index, **body)["hits"]["hits"]
            if not hits:
                break
            seen += [hit["_source"]["nth"] for hit in hits]
            after = hits[-1]["sort"]
        expected = list(range(DOCUMENTS))
        equal(seen, expected if order == "asc" else expected[::-1], f"pages {order}")

    # Aggregations.
    found = search(
        index,
        size=0,
        query=created,
        aggs={
            "levels": {"terms": {"field": "level.keyword"}, "aggs": {"took": {"avg": {"field": "took"}}}},
            "minutes": {"date_histogram": {"field": "@timestamp", "fixed_interval": "5m"}},
            "errors": {"filter": {"term": {"level": "error"}}, "aggs": {"worst": {"max": {"field": "took"}}}},
            "spread": {"percentiles": {"field": "took", "percents": [50]}},
            "services": {"cardinality": {"field": "service.name"}},
        },
    )["aggregations"]
    levels = {b["key"]: (b["doc_count"], b["took"]["value"]) for b in found["levels"]["buckets"]}
    equal(levels, {"info": (900, 50.0), "error": (100, 45.0)}, "terms")
    equal([b["doc_count"] for b in found["minutes"]["buckets"]], [300, 300, 300, 100], "date_histogram")
    equal((found["errors"]["doc_count"], found["errors"]["worst"]["value"]), (100, 90.0), "filter")
    equal(found["services"]["value"], 2, "cardinality")

    caps = field_caps(index)["fields"]
    equal(("date" in caps["@timestamp"], "double" in caps["took"], "keyword" in caps["level"]), (True,) * 3, "field_caps")
    mapping = client.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    equal(mapping["service"]["properties"]["name"]["type"], "keyword", "mapping")
    rows = client.cat.indices(index=index, format="json")
    equal([(row["index"], row["docs.count"]) for row in rows], [(index, str(2 * DOCUMENTS + 1))], "cat")

    # What is not supported says so.
    for call, status, named in [
        (lambda: search(index, query={"fuzzy": {"level": "eror"}}), 400, "fuzzy"),
        (lambda: search(index, query={"match_all": {}}, sort=[{"took": "desc"}]), 400, "took"),
        (lambda: search("no-such-index", query={"match_all": {}}), 404, "no-such-index"),
    ]:
        try:
            call()
            raise SystemExit(f"{named} was not refused")
        except ApiError as error:
            found = getattr(error, "status_code", None)
            if found != status or named not in str(error) + str(getattr(error, "info", "")):
                raise SystemExit(f"{named}: {found} {error}")
    print(json.dumps({"documents": 2 * DOCUMENTS + 1}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        import elasticsearch
        import opensearchpy

        print(elasticsearch.__versionstr__, opensearchpy.__versionstr__)
    else:
        main(*sys.argv[1:])
