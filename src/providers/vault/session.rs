//! The one token of a provider: taken, renewed, replaced, given back.
//!
//! All calls share it. Whoever meets that it has to be renewed or replaced does so while the others wait, so a hundred
//! reads at once cost one login. Nothing is looked up for a read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fault::Fault;
use super::http::{Answer, Call, Http, describe};
use super::{Auth, invalid, login, misconfigured};
use crate::providers::{Cause, ProviderError};

/// After a refused login, and after a login that did not help against a refused read, how long until the next one.
/// A hundred objects of a store with a wrong password must not lock the account out.
const LOGIN_REST: Duration = Duration::from_secs(30);
/// The same after a renewal without success.
const RENEWAL_REST: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Session {
    http: Arc<Http>,
    auth: Auth,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// Counts the tokens: a call knows by it whether it was refused with the present one.
    generation: u64,
    /// When a login was refused, and why.
    refused: Option<(Instant, ProviderError)>,
    /// When a token that seemed to be alive was replaced because a read was refused.
    replaced: Option<Instant>,
    /// When a renewal was tried last without success.
    unrenewed: Option<Instant>,
    is_closed: bool,
}

/// A token in use. The header's bytes are not wiped: the HTTP client makes copies of it in any case.
struct Token {
    header: HeaderValue,
    generation: u64,
    /// When it was taken or renewed last.
    since: Instant,
    /// How long it lives from then; `None` is for ever, or not known.
    life: Option<Duration>,
    /// The life it had at first: one that is renewed to less is near its end.
    full_life: Option<Duration>,
    is_renewable: bool,
    /// Batch tokens cannot be revoked.
    is_revocable: bool,
}

impl Token {
    /// Past two thirds of its life.
    fn is_ageing(&self) -> bool {
        self.life.is_some_and(|life| self.since.elapsed() >= life * 2 / 3)
    }

    /// Past its life, or so near to it that a call may not arrive in time.
    fn is_over(&self) -> bool {
        self.life.is_some_and(|life| self.since.elapsed() + (life / 10).min(Duration::from_secs(5)) >= life)
    }
}

#[derive(Deserialize)]
struct Authenticated<'a> {
    #[serde(borrow)]
    auth: Option<Grant<'a>>,
}

#[derive(Deserialize)]
struct Grant<'a> {
    #[serde(borrow)]
    client_token: &'a str,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(default, borrow)]
    token_type: Option<&'a str>,
}

#[derive(Deserialize)]
struct Described {
    data: Description,
}

#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Session {
    /// A session that has not begun.
    ///
    /// # Errors
    /// Where a token was given that cannot be one.
    pub(super) fn new(http: Arc<Http>, auth: Auth) -> Result<Self, ProviderError> {
        if let Auth::Token(token) = &auth {
            header(login::word(token, "token")?)?;
        }
        Ok(Self { http, auth, state: Mutex::default() })
    }

    /// A GET with our token; with a new one once if it is refused. Other refusals are the caller's to judge.
    pub(super) async fn read(
        &self,
        name: &'static str,
        path: &str,
        query: Option<(&str, &str)>,
    ) -> Result<Answer, ProviderError> {
        let token = self.token().await?;
        let answer = self.get(name, path, query, &token).await?;
        let Some(fault) = Fault::of(&answer).filter(|fault| fault.status == 403) else { return Ok(answer) };
        match self.replace(&token, &fault).await? {
            Some(token) => self.get(name, path, query, &token).await,
            None => Ok(answer),
        }
    }

    /// A POST with our token; with a new one once if it is refused. Other refusals are the caller's to judge.
    pub(super) async fn write(&self, name: &'static str, path: &str, body: Bytes) -> Result<Answer, ProviderError> {
        let token = self.token().await?;
        let answer = self.post(name, path, body.clone(), &token).await?;
        let Some(fault) = Fault::of(&answer).filter(|fault| fault.status == 403) else { return Ok(answer) };
        match self.replace(&token, &fault).await? {
            Some(token) => self.post(name, path, body, &token).await,
            None => Ok(answer),
        }
    }

    async fn post(&self, name: &'static str, path: &str, body: Bytes, token: &Token) -> Result<Answer, ProviderError> {
        let (method, token, body) = (Method::POST, Some(&token.header), Some(body));
        self.http.send(&Call { name, method, path, query: None, token, body, is_auth: false }).await
    }

    /// Whether the credentials are good and the server answers.
    pub(super) async fn validate(&self) -> Result<(), ProviderError> {
        let began = Instant::now();
        if self.token().await?.since >= began {
            // Taken or renewed just now: nothing that Vault could add.
            return Ok(());
        }
        let answer = self.read_self().await?;
        match Fault::of(&answer) {
            // A token that may not look at itself is a good one.
            Some(fault) if fault.status == 403 && !fault.is_dead_token() => Ok(()),
            Some(fault) => Err(fault.error("use the token")),
            None => Ok(()),
        }
    }

    /// Revokes the token if it is one that we took.
    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.is_closed = true;
        if let Some(token) = state.token.take() {
            self.revoke(&token).await;
        }
    }

    async fn get(
        &self,
        name: &'static str,
        path: &str,
        query: Option<(&str, &str)>,
        token: &Token,
    ) -> Result<Answer, ProviderError> {
        let token = Some(&token.header);
        self.http.send(&Call { name, method: Method::GET, path, query, token, body: None, is_auth: false }).await
    }

    async fn read_self(&self) -> Result<Answer, ProviderError> {
        let token = self.token().await?;
        let answer = self.look_up(&token.header).await?;
        let dead = Fault::of(&answer).filter(Fault::is_dead_token);
        match dead {
            None => Ok(answer),
            Some(fault) => match self.replace(&token, &fault).await? {
                Some(token) => self.look_up(&token.header).await,
                None => Ok(answer),
            },
        }
    }

    async fn look_up(&self, token: &HeaderValue) -> Result<Answer, ProviderError> {
        self.of_token("LookupSelf", Method::GET, "auth/token/lookup-self", token).await
    }

    async fn of_token(
        &self,
        name: &'static str,
        method: Method,
        path: &str,
        token: &HeaderValue,
    ) -> Result<Answer, ProviderError> {
        let call = Call { name, method, path, query: None, token: Some(token), body: None, is_auth: true };
        self.http.send(&call).await
    }

    /// The token, taken or renewed first where that is due.
    async fn token(&self) -> Result<Arc<Token>, ProviderError> {
        let mut state = self.state.lock().await;
        match state.token.clone() {
            Some(token) if !token.is_ageing() => Ok(token),
            Some(token) => self.refresh(&mut state, token).await,
            None => self.begin(&mut state).await,
        }
    }

    /// A token that ages is renewed; where that cannot be it is replaced, or used for as long as it lives.
    async fn refresh(&self, state: &mut State, token: Arc<Token>) -> Result<Arc<Token>, ProviderError> {
        let is_ours = !matches!(self.auth, Auth::Token(_));
        let rests = state.unrenewed.is_some_and(|at| at.elapsed() < RENEWAL_REST);
        if token.is_renewable && !token.is_over() && !rests {
            match self.renew(state, &token).await {
                // One that is given back for a short while only has reached the end of what renewals can do.
                Ok(Some(renewed)) if !is_ours || renewed.life >= renewed.full_life.map(|life| life / 2) => {
                    return Ok(renewed);
                }
                Ok(_) => {}
                Err(_) => {
                    state.unrenewed = Some(Instant::now());
                    return Ok(token);
                }
            }
        } else if !token.is_over() && (rests || !token.is_renewable) {
            return Ok(token);
        }
        if !is_ours {
            // Whether a given token is really over is for the server to say.
            state.unrenewed = Some(Instant::now());
            return Ok(token);
        }
        match self.begin(state).await {
            // Good for a while yet, whatever is wrong with the login.
            Err(_) if !token.is_over() => Ok(token),
            result => result,
        }
    }

    /// `None` where Vault does not renew it.
    async fn renew(&self, state: &mut State, token: &Token) -> Result<Option<Arc<Token>>, ProviderError> {
        let answer = self.of_token("RenewSelf", Method::POST, "auth/token/renew-self", &token.header).await?;
        if Fault::of(&answer).is_some() {
            return Ok(None);
        }
        let grant = grant(&answer)?;
        let renewed = Arc::new(Token {
            header: token.header.clone(),
            generation: token.generation,
            since: Instant::now(),
            life: life(grant.lease_duration),
            full_life: token.full_life,
            is_renewable: grant.renewable,
            is_revocable: token.is_revocable,
        });
        state.token = Some(Arc::clone(&renewed));
        Ok(Some(renewed))
    }

    /// Logs in, or learns what the given token is.
    async fn begin(&self, state: &mut State) -> Result<Arc<Token>, ProviderError> {
        if state.is_closed {
            return Err(invalid("the connection to Vault is closed"));
        }
        if let Some((at, error)) = &state.refused
            && at.elapsed() < LOGIN_REST
        {
            return Err(error.clone());
        }
        state.refused = None;
        let generation = state.generation + 1;
        let result = match login::prepare(&self.auth).await {
            Ok(Some(login)) => self.log_in(login, generation).await,
            Ok(None) => self.adopt(generation).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(token) => {
                let token = Arc::new(token);
                state.generation = generation;
                state.unrenewed = None;
                state.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(error) => {
                if !error.is_outage() {
                    state.refused = Some((Instant::now(), error.clone()));
                }
                Err(error)
            }
        }
    }

    async fn log_in(&self, login: login::Login, generation: u64) -> Result<Token, ProviderError> {
        let (path, body) = (login.path.as_str(), Some(login.body));
        let call = Call { name: "Login", method: Method::POST, path, query: None, token: None, body, is_auth: true };
        let answer = self.http.send(&call).await?;
        if let Some(fault) = Fault::of(&answer) {
            return Err(fault.login_error(&describe(&call)));
        }
        let grant = grant(&answer)?;
        let life = life(grant.lease_duration);
        Ok(Token {
            header: header(grant.client_token)?,
            generation,
            since: Instant::now(),
            life,
            full_life: life,
            is_renewable: grant.renewable,
            is_revocable: grant.token_type != Some("batch"),
        })
    }

    /// A given token is asked once how long it lives, so that it can be renewed in time.
    async fn adopt(&self, generation: u64) -> Result<Token, ProviderError> {
        let Auth::Token(token) = &self.auth else { return Err(misconfigured("there is no token")) };
        let header = header(login::word(token, "token")?)?;
        let answer = self.look_up(&header).await?;
        let (life, is_renewable) = match Fault::of(&answer) {
            Some(fault) if fault.is_dead_token() => return Err(fault.login_error("use the token")),
            // It may not look at itself: it is used as it is.
            Some(_) => (None, false),
            None => match serde_json::from_slice::<Described>(answer.body.expose()) {
                Ok(described) => (life(described.data.ttl), described.data.renewable),
                Err(_) => (None, false),
            },
        };
        let since = Instant::now();
        Ok(Token { header, generation, since, life, full_life: life, is_renewable, is_revocable: false })
    }

    /// After `fault`, a 403 with `token`: another token to try with, or `None` if there is no point.
    async fn replace(&self, token: &Token, fault: &Fault) -> Result<Option<Arc<Token>>, ProviderError> {
        let mut state = self.state.lock().await;
        // Somebody else was faster.
        if let Some(current) = &state.token
            && current.generation != token.generation
        {
            return Ok(Some(Arc::clone(current)));
        }
        if matches!(self.auth, Auth::Token(_)) {
            if fault.is_dead_token() {
                // The next call asks about it again, though not at once.
                state.refused = Some((Instant::now(), fault.login_error("use the token")));
                state.token = None;
            }
            return Ok(None);
        }
        if fault.is_dead_token() {
            state.token = None;
            return self.begin(&mut state).await.map(Some);
        }
        // A token that is alive may be older than a right that was given since, so it is tried with a new one; but a
        // path that is simply forbidden must not cost a login each time.
        if state.replaced.is_some_and(|at| at.elapsed() < LOGIN_REST) {
            return Ok(None);
        }
        state.replaced = Some(Instant::now());
        let old = state.token.clone();
        // If there is no login now the token that we have stays, and so does the refusal.
        let Ok(new) = self.begin(&mut state).await else { return Ok(None) };
        drop(state);
        if let Some(old) = old {
            self.revoke(&old).await;
        }
        Ok(Some(new))
    }

    /// A token that cannot be revoked ends by itself, so nothing depends on the answer.
    async fn revoke(&self, token: &Token) {
        if token.is_revocable && !token.is_over() {
            let revoked = self.of_token("RevokeSelf", Method::POST, "auth/token/revoke-self", &token.header).await;
            if let Err(error) = revoked {
                tracing::debug!(%error, "a Vault token was not revoked");
            }
        }
    }
}

fn grant(answer: &Answer) -> Result<Grant<'_>, ProviderError> {
    let parsed = serde_json::from_slice::<Authenticated<'_>>(answer.body.expose()).ok();
    let grant = parsed.and_then(|parsed| parsed.auth);
    grant.ok_or_else(|| ProviderError::new(Cause::Unauthenticated, "Vault's answer to the login holds no token"))
}

/// Zero is for ever, as root tokens live.
fn life(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn header(token: &str) -> Result<HeaderValue, ProviderError> {
    let mut header = HeaderValue::from_str(token).map_err(|_| misconfigured("the token for Vault cannot be one"))?;
    header.set_sensitive(true);
    Ok(header)
}
