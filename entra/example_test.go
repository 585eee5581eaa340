package entra_test

import (
	"errors"
	"fmt"

	"github.com/onbehalf/onbehalf/entra"
)

func ExampleParseScope() {
	scope, err := entra.ParseScope("api://0e000000-0000-4000-8000-000000000001/Bookings.Read")
	fmt.Println(scope.Resource(), scope.Name(), err)
	_, err = entra.ParseScope("Bookings.Read")
	fmt.Println(err)
	// Output:
	// api://0e000000-0000-4000-8000-000000000001 Bookings.Read <nil>
	// scope "Bookings.Read": want an App ID URI and a name, like api://CLIENT-ID/execute
}

// An authority that is none of Microsoft's is an error on purpose: whose tokens it signs is somebody's decision.
func ExampleCloudOf() {
	cloud, err := entra.CloudOf("https://login.microsoftonline.us/")
	fmt.Println(cloud.Name, cloud.Graph, err)
	cloud, err = entra.CloudOf("https://localhost:8443/")
	if errors.Is(err, entra.ErrUnknownCloud) { // in a program: only where its operator said so
		fmt.Println(cloud.Name, cloud.Graph)
	}
	// Output:
	// usgovernment https://graph.microsoft.us <nil>
	// other https://localhost:8443
}

func ExampleAdviceFor() {
	advice, _ := entra.AdviceFor(65001)
	fmt.Println(advice.Kind)
	fmt.Println(advice.Cause)
	fmt.Println(advice.Who + ": " + advice.Fix)
	// Output:
	// consent-required
	// Nobody has consented yet that this application calls the API for you.
	// you: Open the consent link and accept; where people may not consent for themselves, an administrator opens it.
}
