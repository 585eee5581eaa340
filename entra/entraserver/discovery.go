package entraserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (s *Server) discoveryRoutes() map[string]endpoint {
	instance := endpoint{name: "instance", handle: s.instance}
	return map[string]endpoint{
		"GET /discovery/instance":                                   instance,
		"GET /{tenant}/discovery/instance":                          instance,
		"GET /{tenant}/.well-known/openid-configuration":            {name: "metadata", handle: func(w http.ResponseWriter, c *call) error { return s.metadata(w, c, 1) }},
		"GET /{tenant}/v2.0/.well-known/openid-configuration":       {name: "metadata", handle: func(w http.ResponseWriter, c *call) error { return s.metadata(w, c, 2) }},
		"GET /{tenant}/.well-known/oauth-authorization-server":      {name: "metadata", handle: s.notEmulated("OAuth authorization server metadata; Entra has OpenID metadata only")},
		"GET /{tenant}/discovery/keys":                              {name: "keys", handle: func(w http.ResponseWriter, c *call) error { return s.jwks(w, c, 1) }},
		"GET /{tenant}/discovery/v2.0/keys":                         {name: "keys", handle: func(w http.ResponseWriter, c *call) error { return s.jwks(w, c, 2) }},
		"GET /oidc/userinfo":                                        {name: "userinfo", handle: s.userInfo},
		"POST /oidc/userinfo":                                       {name: "userinfo", handle: s.userInfo},
		"GET /error":                                                {name: "error", handle: s.explain},
		"GET /common/userrealm/*":                                   {name: "userrealm", handle: s.notEmulated("user realm discovery (sign-in with a password over the wire)")},
		"GET /{tenant}/v2.0/.well-known/oauth-authorization-server": {name: "metadata", handle: s.notEmulated("OAuth authorization server metadata; Entra has OpenID metadata only")},
	}
}

// notEmulated refuses loudly, and says what is missing.
func (s *Server) notEmulated(what string) func(http.ResponseWriter, *call) error {
	return func(w http.ResponseWriter, c *call) error {
		c.record.Outcome = "not emulated"
		http.Error(w, "the local Entra does not emulate this: "+what, http.StatusNotImplemented)
		return nil
	}
}

// instance tells MSAL which hosts are one cloud.
func (s *Server) instance(w http.ResponseWriter, c *call) error {
	asked, hosts := c.URL.Query().Get("authorization_endpoint"), c.authority.instances()
	if asked != "" {
		u, err := url.Parse(asked)
		if err != nil || !slices.Contains(hosts, strings.ToLower(u.Host)) {
			return refuse(50049)
		}
	}
	s.openToPages(w)
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": c.authority.base + "/" + s.dir.Tenant().String() + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata":                  []any{map[string]any{"preferred_network": hosts[0], "preferred_cache": hosts[min(1, len(hosts)-1)], "aliases": hosts}},
	})
	return nil
}

// metadata is the OpenID configuration, with what Entra has in it and without what it leaves out.
func (s *Server) metadata(w http.ResponseWriter, c *call, version int) error {
	root := c.authority.base + "/" + c.tenant.segment
	v2, keys := "/v2.0", "/discovery/v2.0/keys"
	if version == 1 {
		v2, keys = "", "/discovery/keys"
	}
	doc := map[string]any{
		"token_endpoint":                        root + "/oauth2" + v2 + "/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"jwks_uri":                              root + keys,
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"issuer":                                c.authority.issuer(version, c.tenant.issuerSegment()),
		"request_uri_parameter_supported":       false,
		"userinfo_endpoint":                     c.authority.base + "/oidc/userinfo",
		"authorization_endpoint":                root + "/oauth2" + v2 + "/authorize",
		"device_authorization_endpoint":         root + "/oauth2" + v2 + "/devicecode",
		"http_logout_supported":                 true,
		"frontchannel_logout_supported":         true,
		"end_session_endpoint":                  root + "/oauth2" + v2 + "/logout",
		"claims_supported": []string{
			"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host",
			"aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
		},
		"tenant_region_scope":   "WW",
		"cloud_instance_name":   c.authority.instanceName(),
		"cloud_graph_host_name": c.authority.host(),
		"msgraph_host":          c.authority.graph,
		"rbac_url":              c.authority.base,
	}
	if s.config.AdvertisePKCE {
		doc["code_challenge_methods_supported"] = []string{"plain", "S256"}
	}
	s.openToPages(w)
	writeJSON(w, http.StatusOK, doc)
	return nil
}

// jwks lists the tenant's keys and one of the tenant of personal accounts. Version 2 says which issuer each key is for.
func (s *Server) jwks(w http.ResponseWriter, c *call, version int) error {
	issuer, consumers := "", ""
	if version == 2 {
		issuer, consumers = c.authority.issuer(2, "{tenantid}"), c.authority.issuer(2, consumersTenant)
		if !c.tenant.anyTenant() {
			issuer = c.authority.issuer(2, c.tenant.id.String())
		}
	}
	published, err := s.keys.published()
	if err != nil {
		return err
	}
	personal, err := s.keys.consumers.get()
	if err != nil {
		return err
	}
	var keys []jwk
	for _, key := range published {
		keys = append(keys, key.public(issuer))
	}
	s.openToPages(w)
	writeJSON(w, http.StatusOK, map[string]any{"keys": append(keys, personal.public(consumers))})
	return nil
}

// openToPages lets pages of any origin read the answer, as Entra does for its metadata.
func (s *Server) openToPages(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
}

// explain is where error_uri leads.
func (s *Server) explain(w http.ResponseWriter, c *call) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("This is a local Entra (onbehalf local). Microsoft explains its error codes at\nhttps://learn.microsoft.com/entra/identity-platform/reference-error-codes\n"))
	return err
}
