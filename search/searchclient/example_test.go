package searchclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// All documents that a person may see, page by page. The token comes from package obo, for entra.Cloud.SearchScope.
func ExampleDocuments() {
	service, err := searchclient.New(searchclient.Config{Endpoint: "https://contoso.search.windows.net", Key: identity.NewSecret("a query key")})
	if err != nil {
		log.Fatal(err)
	}
	var token identity.Token // in a tool: its argument
	type document struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	query := &search.Query{Search: "budget", Filter: "size gt 1000", Select: []string{"id", "name"}}
	for found, err := range searchclient.Documents[document](context.Background(), service.Index("docs"), search.ByToken{Token: token}, query) {
		switch {
		case errors.Is(err, search.ErrThrottled):
			fmt.Println("later")
			return
		case err != nil: // a *search.Error when the service said no; a *searchclient.TokenError when the token is not sent
			fmt.Println(err)
			return
		}
		fmt.Println(found.ID, found.Name)
	}
	// Output:
	// search client: the person's token is no JWT with an audience: it is not sent
}
