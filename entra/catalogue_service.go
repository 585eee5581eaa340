package entra

// serviceCatalogue holds what has to do with Entra itself, the network and load.
//
//nolint:gochecknoglobals // a table that nothing changes
var serviceCatalogue = []Advice{
	{50033, Unavailable, "Entra had a passing failure.", You, "Try again."},
	{50196, Throttled, "Entra saw the same request over and over and takes it for a loop.", Operator, "Find what repeats the request; wait some minutes."},
	{70012, Unavailable, "The service for personal accounts failed.", You, "Try again later."},
	{90006, Unavailable, "An external service that Entra needs failed.", You, "Try again."},
	{90012, Unavailable, "Entra's request timed out.", You, "Try again."},
	{90020, Unavailable, "A token of an external provider could not be read.", You, "Sign in again."},
	{90024, Unavailable, "Entra ran out of its budget for this request.", You, "Try again."},
	{90033, Unavailable, "Entra's service is temporarily not available.", You, "Try again later."},
	{90055, Throttled, "Entra has too many requests of this tenant.", You, "Wait a moment, then try again."},
	{80001, Unavailable, "The tenant's own directory could not be reached.", Admin, "Check the agents that connect the on-premises directory."},
	{80002, Unavailable, "The tenant's own directory did not answer in time.", Admin, "Check the agents that connect the on-premises directory."},
	{80005, Unavailable, "The tenant's own directory gave an answer that Entra could not read.", Admin, "Check the agents that connect the on-premises directory."},
}
