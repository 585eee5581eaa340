package entraserver

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

func contoso(t *testing.T) *Directory {
	t.Helper()
	d, err := Contoso()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestContoso(t *testing.T) {
	d := contoso(t)
	for name, want := range map[string]string{
		"alice": Alice, "BOB@contoso.example": Bob, Carol: Carol, "mallory": "", "alice@fabrikam.example": "",
	} {
		got := ""
		if p := d.FindPerson(name); p != nil {
			got = p.ID.String()
		}
		if got != want {
			t.Errorf("FindPerson(%q) = %q, want %q", name, got, want)
		}
	}
	if n := len(d.TransitiveMemberOf(object(Dana))); n != overageGroups {
		t.Errorf("dana is in %d groups, want %d", n, overageGroups)
	}
	if diff := cmp.Diff([]identity.ObjectID{object(Engineering), object(AllStaff)}, d.TransitiveMemberOf(object(Alice)), cmp.Comparer(func(a, b identity.ObjectID) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if d.FindPerson("erin").Enabled || !d.FindPerson("adele").IsAdministrator() {
		t.Error("erin is disabled, adele an administrator")
	}
	if d.resource("HTTPS://search.azure.com/") == nil || d.resource("https://search.azure.com/x") != nil {
		t.Error("App ID URIs match without regard to case and one trailing slash, and else exactly")
	}
	if a, b := contoso(t).ClientSecret(client(ContosoAPI)), d.ClientSecret(client(ContosoAPI)); a.IsZero() || a.Reveal() == b.Reveal() {
		t.Error("secrets are new at each start")
	}
}

func TestConsentAndPreAuthorization(t *testing.T) {
	d := contoso(t)
	for _, test := range []struct {
		desc             string
		client, resource string
		want             []string
	}{
		{"an administrator's consent", ContosoAPI, entra.SearchAppID, []string{"user_impersonation"}},
		{"pre-authorized", ContosoWebClient, ContosoAPI, []string{"execute"}},
		{"neither", ContosoOther, ContosoAPI, nil},
	} {
		if diff := cmp.Diff(test.want, d.Granted(client(test.client), client(test.resource), object(Alice))); diff != "" {
			t.Errorf("%s: %s", test.desc, diff)
		}
	}
	if err := d.Consent(client(ContosoOther), client(ContosoAPI), object(Alice), "execute"); err != nil {
		t.Fatal(err)
	}
	if got := d.Granted(client(ContosoOther), client(ContosoAPI), object(Bob)); got != nil {
		t.Errorf("alice's consent counts for bob: %v", got)
	}
	if got := d.Granted(client(ContosoOther), client(ContosoAPI), object(Alice)); len(got) != 1 {
		t.Errorf("alice's consent does not count for her: %v", got)
	}
}

func TestRoles(t *testing.T) {
	d := contoso(t)
	roles, assigned := d.RolesOf(d.PrincipalOf(client(entra.SearchAppID)).ID, client(entra.GraphAppID))
	if diff := cmp.Diff([]string{"GroupMember.Read.All", "User.Read.All"}, roles); diff != "" || !assigned {
		t.Error(diff, assigned)
	}
	if _, assigned := d.RolesOf(object(Alice), client(ContosoAPI)); assigned {
		t.Error("alice is assigned to nothing")
	}
	a := &RoleAssignment{AppRoleID: DefaultRole, PrincipalID: object(Engineering), ResourceID: d.PrincipalOf(client(ContosoAPI)).ID}
	if err := d.Assign(a); err != nil {
		t.Fatal(err)
	}
	if _, assigned := d.RolesOf(object(Alice), client(ContosoAPI)); !assigned {
		t.Error("alice is assigned by way of her group")
	}
}

func TestSnapshotKeepsNothingShared(t *testing.T) {
	d := contoso(t)
	before := d.snapshot()
	if err := d.AddMember(object(Board), object(Alice)); err != nil {
		t.Fatal(err)
	}
	if err := d.UpdateApplication(client(ContosoAPI), func(a *Application) error {
		a.API.PreAuthorized[0].DelegatedPermissionIDs[0] = "changed"
		a.IdentifierURIs = []string{"api://changed"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.DeleteApplication(client(ContosoOther)); err != nil {
		t.Fatal(err)
	}
	d.restore(before)
	if len(d.MemberOf(object(Alice))) != 1 || d.Application(client(ContosoOther)) == nil || d.resource("api://changed") != nil {
		t.Error("reset does not bring the old state back")
	}
	if got := d.Application(client(ContosoAPI)).API.PreAuthorized[0].DelegatedPermissionIDs[0]; got != ExecuteScope {
		t.Errorf("a change shows in the snapshot: %s", got)
	}
}

func TestDirectoryRefuses(t *testing.T) {
	d := contoso(t)
	for desc, test := range map[string]struct{ got, want error }{
		"the same person":        {d.AddPerson(d.Person(object(Alice))), ErrExists},
		"somebody else's URI":    {d.UpdateApplication(client(ContosoOther), func(a *Application) error { a.IdentifierURIs = []string{"API://" + ContosoAPI + "/"}; return nil }), ErrExists},
		"a member nobody knows":  {d.AddMember(object(Board), object(ContosoTenant)), ErrNoObject},
		"consent of nobody":      {d.Consent(client(ContosoIdentityObject), client(ContosoAPI), identity.ObjectID{}, "x"), ErrNoObject},
		"a role for nobody":      {d.Assign(&RoleAssignment{PrincipalID: object(ContosoTenant), ResourceID: d.PrincipalOf(client(ContosoAPI)).ID}), ErrNoObject},
		"an unknown application": {d.DeleteApplication(client(ContosoTenant)), ErrNoObject},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: got %v, want %v", desc, test.got, test.want)
		}
	}
}

func TestGUIDs(t *testing.T) {
	id := newGUID()
	if got := formatGUID(guidBytes(id)); got != id {
		t.Errorf("got %s, want %s", got, id)
	}
}
