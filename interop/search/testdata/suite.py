"""Azure's own Python client against the local Search: index life cycle, documents, queries, permissions, paging, errors,
synchronously and asynchronously. It runs with 11.6.0b12 and 12.1.0b2 (document permissions) and 12.0.0 (none)."""

import asyncio
import json
import os
import sys
import time
from datetime import datetime, timezone

from azure.core import MatchConditions
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.search.documents import IndexDocumentsBatch, SearchClient, SearchIndexingBufferedSender
from azure.search.documents.aio import SearchClient as AsyncSearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes import models as m

with open(os.environ["CONFIG"], encoding="utf-8") as f:
    CONFIG = json.load(f)
VERSION = CONFIG["version"]
PERMISSIONS = VERSION != "12.0.0"
ENDPOINT = CONFIG["endpoint"]
ADMIN = AzureKeyCredential(CONFIG["adminKey"])
FAST = {"retry_total": 0}
checks = failed = 0


def same(what, got, want):
    global checks, failed
    checks += 1
    if got != want:
        failed += 1
        print(f"FAIL {what}\n  got  {got!r}\n  want {want!r}")


def refused(what, kind, words, call):
    global checks, failed
    checks += 1
    try:
        call()
    except kind as e:
        if words not in str(e):
            failed += 1
            print(f"FAIL {what}: {e}; want {words!r}")
    except Exception as e:  # noqa: BLE001
        failed += 1
        print(f"FAIL {what}: {type(e).__name__} {e}; want {kind.__name__}")
    else:
        failed += 1
        print(f"FAIL {what}: no error")


def ids(results):
    return " ".join(hit["id"] for hit in results)


def client(index, credential=ADMIN, **more):
    return SearchClient(ENDPOINT, index, credential, **{**FAST, **more})


indexes = SearchIndexClient(ENDPOINT, ADMIN, **FAST)
String, Collection = m.SearchFieldDataType.String, m.SearchFieldDataType.Collection


def hotels(name="hotels", **more):
    return m.SearchIndex(name=name, fields=[
        m.SimpleField(name="id", type=String, key=True, filterable=True, sortable=True),
        m.SearchableField(name="name", type=String, sortable=True),
        m.SearchableField(name="text", type=String, analyzer_name="en.lucene"),
        m.SimpleField(name="kind", type=String, filterable=True, facetable=True, sortable=True),
        m.SearchableField(name="tags", collection=True, type=String, filterable=True, facetable=True),
        m.SimpleField(name="stars", type=m.SearchFieldDataType.Int32, filterable=True, sortable=True, facetable=True),
        m.SimpleField(name="price", type=m.SearchFieldDataType.Double, filterable=True, sortable=True, facetable=True),
        m.SimpleField(name="open", type=m.SearchFieldDataType.Boolean, filterable=True, facetable=True),
        m.SimpleField(name="built", type=m.SearchFieldDataType.DateTimeOffset, filterable=True, sortable=True, facetable=True),
        m.ComplexField(name="address", fields=[m.SearchableField(name="city", type=String, filterable=True, facetable=True)]),
        m.ComplexField(name="rooms", collection=True, fields=[
            m.SimpleField(name="beds", type=m.SearchFieldDataType.Int32, filterable=True),
            m.SimpleField(name="rate", type=m.SearchFieldDataType.Double, filterable=True)]),
    ], **more)


def life_cycle():
    created = indexes.create_index(hotels())
    same("created", (created.name, len(created.fields), bool(created.e_tag)), ("hotels", 11, True))
    refused("created twice", HttpResponseError, "already exists", lambda: indexes.create_index(hotels()))
    got = indexes.get_index("hotels")
    got.fields.append(m.SimpleField(name="extra", type=m.SearchFieldDataType.Boolean, filterable=True))
    updated = indexes.create_or_update_index(got, match_condition=MatchConditions.IfNotModified)
    same("fields after the update", len(updated.fields), 12)
    refused("changed by somebody else", ResourceModifiedError, "precondition",
            lambda: indexes.create_or_update_index(created, match_condition=MatchConditions.IfNotModified))
    same("names", list(indexes.list_index_names()), ["hotels"])
    same("listed", [len(index.fields) for index in indexes.list_indexes()], [12])
    statistics = indexes.get_index_statistics("hotels")
    same("statistics", statistics["document_count"] if VERSION.startswith("11.") else statistics.document_count, 0)
    same("service statistics", bool(indexes.get_service_statistics()), True)
    analyzed = indexes.analyze_text("hotels", m.AnalyzeTextOptions(text="The Quick", analyzer_name="standard.lucene"))
    same("analyzed", [(t.token, t.start_offset, t.end_offset, t.position) for t in analyzed.tokens], [("the", 0, 3, 0), ("quick", 4, 9, 1)])
    refused("no such index", ResourceNotFoundError, "No index with the name 'nothing' was found in the service", lambda: indexes.get_index("nothing"))
    refused("suggesters", HttpResponseError, "suggesters",
            lambda: indexes.create_index(hotels("sg", suggesters=[m.SearchSuggester(name="sg", source_fields=["name"])])))


def documents():
    c = client("hotels")
    same("uploaded", [(r.key, r.succeeded, r.status_code) for r in c.upload_documents([
        {"id": "1", "name": "Lake View Inn", "text": "A quiet inn by the lake for guests who like fishing.", "kind": "inn", "tags": ["lake", "quiet"],
         "stars": 3, "price": 80.5, "open": True, "built": datetime(1999, 5, 1, 12, tzinfo=timezone.utc), "address": {"city": "Annecy"},
         "rooms": [{"beds": 1, "rate": 60.0}, {"beds": 2, "rate": 90.5}]},
        {"id": "2", "name": "Grand Palace", "text": "Luxury in the old town, with a spa.", "kind": "palace", "tags": ["luxury", "spa"], "stars": 5,
         "price": 420.0, "open": True, "built": "1888-10-10T00:00:00Z", "address": {"city": "Wien"}, "rooms": [{"beds": 2, "rate": 900.0}]},
        {"id": "3", "name": "Harbour Hostel", "text": "Beds near the harbour.", "kind": "hostel", "tags": [], "stars": 1, "open": False},
    ])], [("1", True, 201), ("2", True, 201), ("3", True, 201)])
    same("merged", c.merge_documents([{"id": "3", "price": 20}])[0].status_code, 200)
    batch = IndexDocumentsBatch()
    batch.add_merge_or_upload_actions([{"id": "4", "name": "Old Mill", "text": "An inn in a mill; the fishing is good.", "kind": "inn", "stars": 3, "price": 75}])
    batch.add_delete_actions([{"id": "98"}])
    same("batch", [(r.key, r.status_code) for r in c.index_documents(batch)], [("4", 201), ("98", 200)])
    same("one of two", [(r.succeeded, r.status_code, r.error_message) for r in c.merge_documents([{"id": "1", "open": True}, {"id": "99", "open": True}])],
         [(True, 200, None), (False, 404, "Document not found.")])
    refused("bad key", HttpResponseError, "Invalid document key: 'a.b'", lambda: c.upload_documents([{"id": "a.b"}]))
    refused("no key", HttpResponseError, "Document key cannot be missing or empty.", lambda: c.upload_documents([{"name": "x"}]))
    one = c.get_document("1")
    same("looked up", (one["name"], one["built"], len(one["rooms"]), one["tags"]), ("Lake View Inn", "1999-05-01T12:00:00Z", 2, ["lake", "quiet"]))
    part = c.get_document("2", selected_fields=["name", "stars"])
    same("looked up in part", {k: v for k, v in part.items() if not k.startswith("@")}, {"name": "Grand Palace", "stars": 5})
    refused("missing document", ResourceNotFoundError, "", lambda: c.get_document("nothing"))
    same("count", c.get_document_count(), 4)
    sender = SearchIndexingBufferedSender(ENDPOINT, "hotels", ADMIN, auto_flush=False)
    sender.upload_documents([{"id": f"b{i:03}", "kind": "batch", "stars": i} for i in range(120)])
    sender.flush()
    sender.close()
    same("count after the buffered upload", c.get_document_count(), 124)


def queries():
    c = client("hotels")
    for what, text, options, want in [
        ("everything", "*", {"order_by": ["id"]}, "1 2 3 4"),
        ("nothing said", None, {"order_by": ["id"]}, "1 2 3 4"),
        ("a word", "luxury", {}, "2"),
        ("stemmed", "fish", {"order_by": ["id"]}, "1 4"),
        ("all words", "inn mill", {"search_mode": "all"}, "4"),
        ("full syntax", "name:palase~1 OR name:/h[a]rbour/", {"query_type": "full", "order_by": ["id"]}, "2 3"),
        ("filter and order", "*", {"filter": "stars ge 3 and kind ne 'batch'", "order_by": ["price desc"]}, "2 1 4"),
        ("any", "*", {"filter": "tags/any(t: t eq 'spa')"}, "2"),
        ("in a complex collection", "*", {"filter": "rooms/any(r: r/beds eq 2 and r/rate lt 100)"}, "1"),
        ("search.in", "*", {"filter": "search.in(id, '1,3')", "order_by": ["id"]}, "1 3"),
        ("null", "*", {"filter": "price eq null and kind ne 'batch'"}, ""),
        ("dates", "*", {"filter": "built lt 1900-01-01T00:00:00Z"}, "2"),
        ("fields", "annecy", {"search_fields": ["address/city"]}, "1"),
        ("top and skip", "*", {"order_by": ["id"], "top": 1, "skip": 1}, "2"),
    ]:
        same(what, ids(c.search(text, **{"filter": "kind ne 'batch'", **options})), want)
    hit = next(iter(c.search("*", filter="id eq '1'", select=["name", "address/city"])))
    same("select", (hit["name"], hit["address"], hit["@search.score"]), ("Lake View Inn", {"city": "Annecy"}, 1.0))
    counted = c.search("*", filter="kind ne 'batch'", include_total_count=True, top=1, facets=["kind,sort:value", "stars,values:2|4", "tags,count:1"], minimum_coverage=50)
    same("count and coverage", (counted.get_count(), counted.get_coverage()), (4, 100.0))
    facets = counted.get_facets()
    same("facet of values", [(f["value"], f["count"]) for f in facets["kind"]], [("hostel", 1), ("inn", 2), ("palace", 1)])
    same("facet of ranges", [(f.get("from"), f.get("to"), f["count"]) for f in facets["stars"]], [(None, 2, 1), (2, 4, 2), (4, None, 1)])
    marked = next(iter(c.search("luxury", highlight_fields="text", highlight_pre_tag="<b>", highlight_post_tag="</b>")))
    same("highlight", marked["@search.highlights"]["text"][0].startswith("<b>Luxury</b> in the old town"), True)
    paged = c.search("*", filter="kind eq 'batch'", order_by=["stars"], select=["id", "stars"]).by_page()
    pages = [[hit["stars"] for hit in page] for page in paged]
    same("pages", ([len(page) for page in pages], sum(pages, [])), ([50, 50, 20], list(range(120))))
    same("all pages", len(list(c.search("*", filter="kind eq 'batch'"))), 120)
    for what, words, options in [
        ("bad filter", "Invalid expression: Syntax error at position 7 in 'This is not a valid filter.'", {"filter": "This is not a valid filter."}),
        ("unknown field", "Could not find a property named 'nothing' on type 'search.document'", {"select": ["nothing"]}),
        ("skip", "Value must be between 0 and 100000.", {"skip": 100001}),
        ("semantic", "semantic", {"query_type": "semantic", "semantic_configuration_name": "x"}),
        ("scoring profile", "scoringProfile", {"scoring_profile": "x"}),
    ]:
        refused(what, HttpResponseError, words, lambda options=options: list(c.search("*", **options)))
    refused("suggest", HttpResponseError, "suggest", lambda: c.suggest("l", "sg"))
    refused("autocomplete", HttpResponseError, "autocomplete", lambda: c.autocomplete("l", "sg"))
    refused("no such index", ResourceNotFoundError, "was not found", lambda: list(client("nothing").search("*")))


def user(token):
    if not token:
        return {}
    if VERSION.startswith("11."):
        return {"x_ms_query_source_authorization": token}
    if VERSION == "12.0.0":
        return {"headers": {"x-ms-query-source-authorization": token}}
    return {"query_source_authorization": token}


def permissions():
    if PERMISSIONS:
        made = indexes.create_index(m.SearchIndex(name="acl", permission_filter_option=m.SearchIndexPermissionFilterOption.ENABLED, fields=[
            m.SimpleField(name="id", type=String, key=True, filterable=True, sortable=True),
            m.SearchableField(name="name", type=String),
            m.SearchField(name="oid", type=Collection(String), permission_filter=m.PermissionFilter.USER_IDS, filterable=True, searchable=False, hidden=True),
            m.SearchField(name="group", type=Collection(String), permission_filter=m.PermissionFilter.GROUP_IDS, filterable=True, searchable=False, hidden=True),
        ]))
        same("permission fields", (made.permission_filter_option, [f.permission_filter for f in made.fields]), ("enabled", [None, None, "userIds", "groupIds"]))
    else:  # 12.0.0 knows no permissions: the index is made by hand
        from azure.core.pipeline.transport import RequestsTransport
        from azure.core.rest import HttpRequest
        from azure.core import PipelineClient

        body = {"name": "acl", "permissionFilterOption": "enabled", "fields": [
            {"name": "id", "type": "Edm.String", "key": True, "filterable": True, "sortable": True},
            {"name": "name", "type": "Edm.String", "searchable": True},
            {"name": "oid", "type": "Collection(Edm.String)", "permissionFilter": "userIds", "filterable": True, "searchable": False, "retrievable": False},
            {"name": "group", "type": "Collection(Edm.String)", "permissionFilter": "groupIds", "filterable": True, "searchable": False, "retrievable": False}]}
        answer = PipelineClient(ENDPOINT, transport=RequestsTransport()).send_request(
            HttpRequest("POST", f"{ENDPOINT}/indexes?api-version=2025-11-01-preview", json=body, headers={"api-key": CONFIG["adminKey"]}))
        same("made by hand", answer.status_code, 201)
    c = client("acl")
    c.upload_documents([
        {"id": "1", "name": "public", "oid": ["all"], "group": []},
        {"id": "2", "name": "of alice", "oid": [CONFIG["alice"]], "group": []},
        {"id": "3", "name": "of engineering", "oid": ["none"], "group": [CONFIG["engineering"]]},
        {"id": "4", "name": "of bob", "oid": [CONFIG["bob"]], "group": []},
        {"id": "5", "name": "of nobody", "oid": [], "group": []},
    ])
    tokens = CONFIG["tokens"]
    for person, want in [("alice", "1 2 3"), ("bob", "1 4"), ("carol", "1")]:
        result = c.search("*", order_by=["id"], include_total_count=True, **user(tokens[person]))
        same(f"{person} sees", (result.get_count(), ids(result)), (len(want.split()), want))
    same("nobody sees", ids(c.search("*", order_by=["id"])), "1")
    if VERSION.startswith("12.1"):
        same("elevated", ids(c.search("*", order_by=["id"], enable_elevated_read=True)), "1 2 3 4 5")
        refused("elevated with a query key", HttpResponseError, "", lambda: list(client("acl", AzureKeyCredential(CONFIG["queryKey"])).search("*", enable_elevated_read=True)))
    refused("a token for another API", ClientAuthenticationError, "Audience claim is invalid in the JWT token.", lambda: list(c.search("*", **user(CONFIG["wrongToken"]))))
    refused("a token that was changed", ClientAuthenticationError, "", lambda: list(c.search("*", **user(tokens["alice"][:-6] + "AAAAAA"))))
    many = [{"id": f"p{i:03}", "name": "paged", "oid": [CONFIG["bob" if i % 2 else "alice"]], "group": []} for i in range(240)]
    c.upload_documents(many)
    same("pages as bob", ids(c.search("paged", order_by=["id"], **user(tokens["bob"]))), " ".join(f"p{i:03}" for i in range(1, 240, 2)))


class Credential:
    """A credential that has a person's token already."""

    def __init__(self, person):
        self.token = CONFIG["tokens"][person]

    def get_token(self, *scopes, **_):
        same("scope", scopes, ("https://search.azure.com/.default",))
        return AccessToken(self.token, int(time.time()) + 3600)


def credentials():
    same("by role", ids(client("acl", Credential("alice")).search("public")), "1")
    refused("write without a role", HttpResponseError, "", lambda: client("acl", Credential("alice")).upload_documents([{"id": "9"}]))
    refused("no role at all", HttpResponseError, "", lambda: list(client("acl", Credential("carol")).search("*")))
    refused("wrong key", HttpResponseError, "", lambda: list(client("acl", AzureKeyCredential("wrong")).search("*")))
    refused("query key writes", HttpResponseError, "", lambda: client("acl", AzureKeyCredential(CONFIG["queryKey"])).upload_documents([{"id": "9"}]))
    refused("query key and definitions", HttpResponseError, "", lambda: SearchIndexClient(ENDPOINT, AzureKeyCredential(CONFIG["queryKey"]), **FAST).get_index("acl"))


async def asynchronously():
    async with AsyncSearchClient(ENDPOINT, "hotels", ADMIN, **FAST) as c:
        same("async count", await c.get_document_count(), 124)
        found = [hit["id"] async for hit in await c.search("*", filter="kind eq 'batch'", order_by=["stars"])]
        same("async pages", (len(found), found[0], found[-1]), (120, "b000", "b119"))


life_cycle()
documents()
queries()
permissions()
credentials()
asyncio.run(asynchronously())
for name in ["hotels", "acl"]:
    indexes.delete_index(name)
refused("deleted", ResourceNotFoundError, "No index with the name", lambda: indexes.get_index("hotels"))
print(f"checks: {checks}, failed: {failed}")
sys.exit(1 if failed else 0)
