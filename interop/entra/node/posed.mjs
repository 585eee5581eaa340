// A client that knows no Entra but Microsoft's: MSAL for Node with an authority and nothing else. It signs in with a
// device code, which the control API approves, and calls the server.
import * as msal from '@azure/msal-node';

const { TENANT_ID: tenant, WEB_CLIENT_ID: clientId, API_CLIENT_ID: api, SERVER: server } = process.env;
const app = new msal.PublicClientApplication({ auth: { clientId, authority: `https://login.microsoftonline.com/${tenant}` } });
const result = await app.acquireTokenByDeviceCode({
  scopes: [`api://${api}/execute`],
  deviceCodeCallback: async ({ userCode, verificationUri }) => {
    if (verificationUri !== 'https://login.microsoftonline.com/devicelogin') throw new Error('sent to ' + verificationUri);
    const page = await fetch(verificationUri);
    if (!(await page.text()).includes('Local Entra for tests')) throw new Error('not the local page');
    const approved = await fetch(`https://localhost/_local/devicecodes/${userCode}/approve`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'alice' }),
    });
    if (!approved.ok) throw new Error(`approve: ${approved.status} ${await approved.text()}`);
  },
});
const answer = await fetch(server, { headers: { Authorization: `Bearer ${result.accessToken}` } });
process.stdout.write(await answer.text());
process.exit(answer.ok ? 0 : 1);
