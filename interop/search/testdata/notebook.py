"""The walk through document permissions that Microsoft's notebook "Quickstart: Document-level access in Azure AI Search
using the push document APIs" makes, step by step, in a script of our own: one identity that holds the roles Search
Service Contributor and Search Index Data Contributor, no key, an index with permissions, five documents, a query as
that person, and one as nobody.

https://learn.microsoft.com/azure/search/search-document-level-access-overview"""

import json
import os
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes.models import PermissionFilter, SearchField, SearchIndex, SearchIndexPermissionFilterOption

with open(os.environ["CONFIG"], encoding="utf-8") as f:
    config = json.load(f)
checks, failed = 0, 0


def same(what, got, want):
    global checks, failed
    checks += 1
    if got != want:
        failed += 1
        print(f"FAIL {what}\n  got  {got!r}\n  want {want!r}")


class Identity:
    """Stands in for DefaultAzureCredential: bob, signed in."""

    def get_token(self, *scopes, **_):
        same("scope", scopes, ("https://search.azure.com/.default",))
        return AccessToken(config["tokens"]["bob"], int(time.time()) + 3600)


credential, endpoint, name = Identity(), config["endpoint"], "document-permissions-push-idx"

# 1. The index: content, and permission metadata in fields that are filterable strings.
indexes = SearchIndexClient(endpoint=endpoint, credential=credential)
made = indexes.create_index(SearchIndex(name=name, permission_filter_option=SearchIndexPermissionFilterOption.ENABLED, fields=[
    SearchField(name="id", type="Edm.String", key=True, filterable=True, sortable=True),
    SearchField(name="oid", type="Collection(Edm.String)", retrievable=True, filterable=True, permission_filter=PermissionFilter.USER_IDS),
    SearchField(name="group", type="Collection(Edm.String)", retrievable=True, filterable=True, permission_filter=PermissionFilter.GROUP_IDS),
    SearchField(name="name", type="Edm.String", searchable=True),
]))
same("index", (made.name, made.permission_filter_option), (name, "enabled"))

# 2. Who we are. The notebook asks Microsoft Graph for the object id and the groups.
oid, group = config["bob"], config["bobsGroup"]

# 3. The documents.
documents = SearchClient(endpoint=endpoint, index_name=name, credential=credential)
written = documents.upload_documents(documents=[
    {"id": "1", "oid": [oid], "group": [group], "name": "Document 1"},
    {"id": "2", "oid": ["all"], "group": [group], "name": "Document 2"},
    {"id": "3", "oid": [oid], "group": ["all"], "name": "Document 3"},
    {"id": "4", "oid": ["none"], "group": ["none"], "name": "Document 4"},
    {"id": "5", "oid": ["none"], "group": [group], "name": "Document 5"},
])
same("written", [result.status_code for result in written], [201] * 5)


def find(token):
    results = documents.search(search_text="*", x_ms_query_source_authorization=token, select="name,oid,group", order_by="id asc")
    return [(result["name"], result["oid"], result["group"]) for result in results]


# 4. As that person.
same("as the person", find(config["tokens"]["bob"]), [
    ("Document 1", [oid], [group]), ("Document 2", ["all"], [group]), ("Document 3", [oid], ["all"]), ("Document 5", ["none"], [group])])
same("as somebody else", [found[0] for found in find(config["tokens"]["carol"])], ["Document 2", "Document 3"])

# 5. As nobody. The notebook says "No results are returned"; the documentation says that what is open to all is.
same("as nobody", [found[0] for found in find(None)], ["Document 2", "Document 3"])

# 6. What the notebook leaves out: a token for something else is refused.
checks += 1
try:
    find(config["wrongToken"])
    failed += 1
    print("FAIL a token for another API: no error")
except HttpResponseError as e:
    same("a token for another API", (e.status_code, "Audience claim is invalid in the JWT token." in str(e)), (401, True))

indexes.delete_index(name)
print(f"checks: {checks}, failed: {failed}")
sys.exit(1 if failed else 0)
