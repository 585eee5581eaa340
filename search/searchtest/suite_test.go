package searchtest_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
	"github.com/onbehalf/onbehalf/search/searchclient/elevated"
	"github.com/onbehalf/onbehalf/search/searchengine"
	"github.com/onbehalf/onbehalf/search/searchserver"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

const bobsContainer = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/c"

func TestEngine(t *testing.T) {
	engine, err := searchengine.Open(searchengine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	const alice, bob, group = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-0000000000e1"
	person := func(object, scope string, groups ...string) searchtest.Person {
		id, err := identity.ParseObjectID(object)
		if err != nil {
			t.Fatal(err)
		}
		p := searchtest.Person{Object: object, Scope: scope, User: search.ByPrincipals{Object: id, Groups: groups}}
		if len(groups) > 0 {
			p.Group = groups[0]
		}
		if scope != "" {
			p.User = search.ByPrincipals{Object: id, Groups: groups, Scopes: []string{scope}}
		}
		return p
	}
	searchtest.Run(t, &searchtest.Harness{
		Service: engine, Alice: person(alice, "", group), Bob: person(bob, bobsContainer), Elevated: searchengine.Elevated(),
	})
}

func TestClientServerEngine(t *testing.T) {
	service := searchtest.Start(t, &searchtest.Options{Configure: func(c *searchserver.Config) {
		c.Scopes = map[string][]string{entraserver.Bob: {bobsContainer}}
	}})
	searchtest.Run(t, &searchtest.Harness{
		Service: service.SearchClient(), Elevated: elevated.DangerouslyReadEverything(),
		Alice: searchtest.Person{User: service.As("alice"), Object: entraserver.Alice, Group: entraserver.Engineering},
		Bob:   searchtest.Person{User: service.As("bob"), Object: entraserver.Bob, Scope: bobsContainer},
	})
}

// TestRealService runs only where the environment names a service, its admin key, and the search tokens of two people:
// ONBEHALF_TEST_SEARCH_ENDPOINT, _KEY, _ALICE and _BOB (tokens for https://search.azure.com), _GROUP (the id of a group
// that the first is in and the second is not).
func TestRealService(t *testing.T) {
	endpoint := os.Getenv("ONBEHALF_TEST_SEARCH_ENDPOINT")
	if endpoint == "" {
		return // nothing is claimed about a service that nobody named
	}
	client, err := searchclient.New(searchclient.Config{
		Endpoint: endpoint, Key: identity.NewSecret(os.Getenv("ONBEHALF_TEST_SEARCH_KEY")), HTTPClient: &http.Client{},
	})
	if err != nil {
		t.Fatal(err)
	}
	person := func(variable string) searchtest.Person {
		p, err := searchtest.PersonOf(identity.NewSecret(os.Getenv(variable)))
		if err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
		return p
	}
	alice, bob := person("ONBEHALF_TEST_SEARCH_ALICE"), person("ONBEHALF_TEST_SEARCH_BOB")
	alice.Group = os.Getenv("ONBEHALF_TEST_SEARCH_GROUP")
	searchtest.Run(t, &searchtest.Harness{
		Service: client, Prefix: "onbehalf-test-", Alice: alice, Bob: bob, Settle: 3 * time.Second,
		Elevated: elevated.DangerouslyReadEverything(),
	})
}
