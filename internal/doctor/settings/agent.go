package settings

import (
	"context"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

func settingsAgent(_ context.Context, s *check.State) exam.Finding {
	id, secret := s.Setting("AGENT_CLIENT_ID"), s.Setting("AGENT_CLIENT_SECRET")
	const fix = check.PortalAgent + " > Overview > Application (client) ID, and > Certificates & secrets"
	switch {
	case id == "" && secret == "":
		return exam.Good("not used: no web agent is set up")
	case id == "" || secret == "":
		return exam.Failed("one of AGENT_CLIENT_ID and AGENT_CLIENT_SECRET", "The web agent needs both: it is a confidential client.", "AGENT_CLIENT_ID, AGENT_CLIENT_SECRET: "+fix)
	}
	client, err := identity.ParseClientID(id)
	if err != nil {
		seen, cause := badID(id)
		return exam.Failed(seen, cause, "AGENT_CLIENT_ID: "+fix)
	}
	if !s.API.IsZero() && client == s.API || id == s.Setting("WEB_CLIENT_ID") {
		return exam.Failed("AGENT_CLIENT_ID is that of the API or of the public client", "The web agent is a registration of its own: confidential, with redirect URIs.", "AGENT_CLIENT_ID: "+fix)
	}
	if bad := secretShape(secret, "AGENT_CLIENT_SECRET", check.PortalAgent); bad.Verdict != exam.OK {
		return bad
	}
	s.Agent = client
	return exam.Good("%s", client)
}

func settingsWebURL(_ context.Context, s *check.State) exam.Finding {
	value := s.Setting("WEB_URL")
	if value == "" {
		value = "http://localhost:8080"
	}
	u, cause := publicURL(value)
	if cause != "" {
		return exam.Failed(shown(value), cause, "WEB_URL: where browsers reach the web agent, such as https://agent.contoso.com")
	}
	s.WebURL = u
	return exam.Good("%s", u)
}

func settingsHistoryKey(_ context.Context, s *check.State) exam.Finding {
	value := s.Setting("HISTORY_KEY")
	if value == "" {
		return exam.Good("not used: conversations end with the process")
	}
	for part := range strings.SplitSeq(value, ",") {
		if cause := weak(strings.TrimSpace(part)); cause != "" {
			return exam.Failed("HISTORY_KEY", cause, "HISTORY_KEY: at least 32 random characters.").By(check.RandomKey)
		}
	}
	return exam.Good("set")
}

func settingsModel(_ context.Context, s *check.State) exam.Finding {
	set := func(name string) bool { return s.Setting(name) != "" }
	azure, openAI := set("AZURE_OPENAI_ENDPOINT"), set("OPENAI_BASE_URL") || set("OPENAI_API_KEY")
	const fix = "OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL, or the AZURE_OPENAI_ names"
	switch {
	case azure && openAI:
		return exam.Warned("AZURE_OPENAI_ENDPOINT beside OPENAI_…", "Two models are named.", "Leave one: "+fix)
	case azure && !set("AZURE_OPENAI_DEPLOYMENT"):
		return exam.Failed("AZURE_OPENAI_DEPLOYMENT is missing", "Azure OpenAI names a model by its deployment.", fix)
	case openAI && !set("OPENAI_MODEL"):
		return exam.Failed("OPENAI_MODEL is missing", "Without it nobody knows which model is asked.", fix)
	case set("OPENAI_BASE_URL"):
		if _, cause := publicURL(s.Setting("OPENAI_BASE_URL")); cause != "" {
			return exam.Failed("OPENAI_BASE_URL", cause, fix)
		}
	case !azure && !openAI:
		return exam.Good("none: the built-in stand-in answers, and says that it is one")
	}
	return exam.Good("set")
}
