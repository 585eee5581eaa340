package identity_test

import (
	"encoding/json"
	"fmt"

	"github.com/onbehalf/onbehalf/identity"
)

func ExampleSecret() {
	token := identity.Token{Value: identity.NewSecret("eyJ0eXAi…"), Audience: "https://search.azure.com"}
	text, err := json.Marshal(token.Value)
	fmt.Println(token.Value, string(text), err)
	fmt.Println(len(token.Value.Reveal()) > 0) // the only way out
	// Output:
	// [redacted] "[redacted]" <nil>
	// true
}
