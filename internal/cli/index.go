package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/operator"
	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// operatorTools are what the operator's commands share with the others.
func (a *app) operatorTools() operator.Tools {
	return operator.Tools{
		Progress: a.progress, SameHouse: sameHouse,
		Administrator: func() operator.Administrator { return &graphReader{app: a} },
	}
}

// graphReader is an administrator who signs in to read the directory.
type graphReader struct {
	app *app
	ad  administrator
}

func (r *graphReader) Flags(cmd *cobra.Command) { r.ad.flags(cmd) }

func (r *graphReader) Given() bool { return r.ad.bootstrap != "" || r.ad.tokenFile != "" }

func (r *graphReader) Hint() string { return "--bootstrap-client " + graphTools }

func (r *graphReader) Token(settings *shell.Settings, in entra.Cloud, entraClient *http.Client, scopes ...entra.Scope) (func(context.Context) (identity.Secret, error), error) {
	return r.app.administratorToken(r.ad, settings, in, in.GraphResource, entraClient, scopes...)
}

// searchHosts are below which names Azure AI Search answers.
func searchHosts() []string { return server.SearchHosts() }
