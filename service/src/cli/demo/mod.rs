//! `linli demo`: an estate of four hundred dwellings and a hundred and sixty elders from nothing. It starts the real
//! server on a simulated clock, imports a roster file, lets five stewards work for three weeks over the API, and
//! prints what their manager wants to see.

mod chance;
mod people;
mod show;
mod weeks;

use std::path::{Path, PathBuf};

use clap::Args;
use linli_core::id::SiteId;
use linli_core::obligation::ObligationStatus;
use linli_core::text::Language;
use linli_core::time::CivilDate;
use secrecy::SecretString;

use self::chance::Chance;
use self::people::BUILDINGS;
use self::show::{Directory, Words, heading};
use self::weeks::{WEEKS, Walk, ZONE};
use super::import::{ROWS_PER_CALL, import};
use super::output::{Lang, Progress};
use super::{Failure, say};
use crate::config::{Address, Config, Flags};
use crate::grpc::client::{Client, ClientError, Person, Taking, Target};
use crate::roster::{self, Options};
use crate::server::assemble::{Assembled, assemble};
use crate::server::process::Signals;
use crate::server::{self, Running};

/// The site of the demo.
const SITE: &str = "xingfuli";
/// The steward whose worklist is shown.
const SHOWN_BUILDING: u32 = 4;
/// Where the server listens with `--keep-running`: what the README's commands call.
const KEPT_ADDRESS: &str = "127.0.0.1:50051";
/// The Monday on which the story begins.
const MONDAY: (i32, u32, u32) = (2026, 3, 2);

/// Walk a made-up estate through three weeks and show what its manager sees.
#[derive(Debug, Args)]
pub struct Demo {
    /// Language of the output; without it that of the environment.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// Serve on after the story until Ctrl-C, so that the commands at its end can be typed.
    #[arg(long)]
    keep_running: bool,
    /// Where to listen; without it a free port, with `--keep-running` 127.0.0.1:50051.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Folder for the data and the roster, kept afterwards; without it a temporary one.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Another number, other people.
    #[arg(long, default_value_t = 20_260_302)]
    seed: u64,
}

impl Demo {
    /// Tells the story.
    ///
    /// # Errors
    /// What did not work, in words.
    pub async fn run(self) -> Result<(), Failure> {
        let language = Lang::or_of_environment(self.lang);
        let folder = Folder::new(self.data.clone())?;
        let server = self.start(folder.path()).await?;
        let told = self.tell(&server, folder.path(), language).await;
        if told.is_ok() && self.keep_running {
            let mut signals =
                Signals::new().map_err(|err| Failure::Failed(format!("no signal handlers: {err}")))?;
            signals.end().await;
        }
        server.running.stop().await;
        server.assembled.app.store.close().await;
        drop(server.assembled);
        told
    }

    async fn start(&self, folder: &Path) -> Result<Server, Failure> {
        let monday = monday()?;
        let listen = match &self.listen {
            Some(listen) => listen.clone(),
            None if self.keep_running => KEPT_ADDRESS.to_owned(),
            None => "127.0.0.1:0".to_owned(),
        };
        let flags = Flags {
            dev: true,
            data: Some(folder.to_owned()),
            listen: Some(listen),
            admin_listen: Some(String::new()),
            simulated_clock: Some(format!("{monday}T08:00:00+08:00")),
            migrate: true,
        };
        // The demo depends on nothing around it: no file, no environment.
        let config = Config::layered(None, [], &flags)?;
        let bound = server::bind(&config.server).await?;
        let assembled = assemble(&config).await?;
        let running = bound.start(assembled.parts()).await?;
        Ok(Server { assembled, running })
    }

    async fn tell(&self, server: &Server, folder: &Path, language: Language) -> Result<(), Failure> {
        let words = Words(language);
        let failed = |err: ClientError| Failure::Failed(err.message(language));
        let client = Client::connect(&server.target(language)?).await.map_err(failed)?;
        let site = SiteId::new(SITE).map_err(|why| Failure::Failed(why.to_string()))?;
        let monday = monday()?;
        if client.fact_types().await.map_err(failed)?.is_empty() {
            return Err(Failure::Failed(
                words
                    .of(
                        "没有加载任何规则插件;请用 `cargo demo` 启动,它会先构建插件",
                        "no rule plugin is loaded; start with `cargo demo`, which builds them first",
                    )
                    .to_owned(),
            ));
        }

        heading(words.of("小区与花名册", "the estate and its roster"));
        let mut chance = Chance::new(self.seed);
        let estate = people::estate(self.seed, monday)
            .map_err(|err| Failure::Failed(format!("the roster cannot be written: {err}")))?;
        let path = folder.join("幸福里-老人台账.xlsx");
        std::fs::write(&path, &estate.roster)
            .map_err(|err| Failure::Failed(format!("`{}` cannot be written: {err}", path.display())))?;
        say(format_args!("  {} {}", words.of("花名册:", "roster:"), path.display()));
        self.build(&client, &site, monday, &estate.places, &words).await.map_err(failed)?;

        // From here on as `linli import` does it.
        let bytes = std::fs::read(&path)
            .map_err(|err| Failure::Failed(format!("`{}` cannot be read: {err}", path.display())))?;
        let options =
            Options { today: Some(client.site_date(&site).await.map_err(failed)?), ..Options::default() };
        let roster =
            roster::read(&bytes, &options).map_err(|problem| Failure::Failed(problem.message(language)))?;
        let summary =
            import(&client, &site, &roster, ROWS_PER_CALL, &Taking::default()).await.map_err(failed)?;
        summary.print(language);

        let people = client.residents(&site).await.map_err(failed)?;
        let walk = Walk { client: &client, site: &site, monday, people: &people };
        let label = words.of("走过三周(天)", "walking through three weeks (days)");
        let recorded = walk.run(&mut chance, label).await.map_err(failed)?;
        let now = client.care_time().await.map_err(failed)?;
        say(format_args!(
            "  {}",
            match language {
                Language::Zh => format!(
                    "在册 {} 人,三周多共记录 {recorded} 次服务;现在是 {} 上午",
                    people.len(),
                    ZONE.date_of(now)
                ),
                Language::En => format!(
                    "{} people in care, {recorded} contacts recorded; it is now the morning of {}",
                    people.len(),
                    ZONE.date_of(now)
                ),
            }
        ));
        report(&client, &site, monday, &people, &words).await.map_err(failed)?;
        self.close(server, &site, monday, &words);
        Ok(())
    }

    /// The site, its dwellings, and the posts that cover them.
    async fn build(
        &self,
        client: &Client,
        site: &SiteId,
        monday: CivilDate,
        places: &[roster::place::Place],
        words: &Words,
    ) -> Result<(), ClientError> {
        client.create_site(site, "幸福里小区").await?;
        let mut progress = Progress::new(words.of("登记房屋", "registering dwellings"), places.len());
        // Together, so that the server writes them in a few commits.
        for batch in places.chunks(50) {
            let mut calls = tokio::task::JoinSet::new();
            for place in batch {
                let (client, site, place) = (client.clone(), site.clone(), place.clone());
                calls.spawn(async move { client.create_dwelling(&site, &place).await });
            }
            for done in calls.join_all().await {
                done?;
            }
            progress.advance(batch.len());
        }
        progress.finish();
        for building in 1..=BUILDINGS {
            let post = weeks::post(building);
            client.create_post(site, &post, &format!("{building}栋管家"), &[&building.to_string()]).await?;
            client.add_holder(site, &post, &weeks::steward(building), monday, None).await?;
        }
        // The steward of building 3 is on leave in the second week.
        let cover = (monday.plus_days(7), monday.plus_days(13));
        client.add_holder(site, &weeks::post(3), &weeks::cover(), cover.0, Some(cover.1)).await
    }

    fn close(&self, server: &Server, site: &SiteId, monday: CivilDate, words: &Words) {
        let (address, token) = server.address_and_token();
        let post = weeks::post(SHOWN_BUILDING);
        let days = (monday, monday.plus_days(WEEKS * 7 + 6));
        if self.keep_running {
            heading(words.of(
                "服务仍在运行;同样的内容可用 grpcurl 查看",
                "the server keeps running; the same with grpcurl",
            ));
            say(format_args!("  export LINLI_TOKEN={token}"));
            show::commands(site, post.as_str(), &address, days);
            say(format_args!("\n  {}", words.of("按 Ctrl-C 结束", "Ctrl-C ends it")));
        } else {
            heading(words.of(
                "用 grpcurl 查看:先运行 `cargo demo --keep-running`,它会打印 LINLI_TOKEN",
                "the same with grpcurl: run `cargo demo --keep-running`, which prints LINLI_TOKEN",
            ));
            show::commands(site, post.as_str(), KEPT_ADDRESS, days);
        }
    }
}

/// What the manager wants to see.
async fn report(
    client: &Client,
    site: &SiteId,
    monday: CivilDate,
    people: &[Person],
    words: &Words,
) -> Result<(), ClientError> {
    let weeks_walked = (monday, monday.plus_days(WEEKS * 7 - 1));
    let directory = Directory::new(people);
    heading(words.of("4栋管家本周还要做的", "what the steward of building 4 has left this week"));
    show::worklist(words, client.worklist(site, &weeks::post(SHOWN_BUILDING)).await?);

    heading(words.of("谁被遗漏了,为什么", "who was missed, and why"));
    let states = [ObligationStatus::Missed, ObligationStatus::MetLate];
    let mut missed = client.obligations(site, weeks_walked, &states, None).await?;
    // A record that was written down late is no person who was missed.
    missed.retain(|owed| owed.state == ObligationStatus::Missed || owed.standard.starts_with("contact."));
    show::missed(words, client, site, &directory, missed).await?;

    let all = client.obligations(site, weeks_walked, &[], None).await?;
    heading(words.of("联系不上的,后来怎样", "who could not be reached, and how that ended"));
    show::unreached(words, &directory, &all);

    heading(words.of("不算遗漏的", "what counts against nobody"));
    show::excused_and_late(words, &directory, &all);

    heading(words.of("每周达标情况", "compliance by week"));
    show::figures(words, &client.weekly_figures(site, (monday, monday.plus_days(WEEKS * 7))).await?);
    Ok(())
}

fn monday() -> Result<CivilDate, Failure> {
    let (year, month, day) = MONDAY;
    CivilDate::from_ymd(year, month, day).map_err(|why| Failure::Failed(why.to_string()))
}

/// A server in this process.
struct Server {
    assembled: Assembled,
    running: Running,
}

impl Server {
    fn address_and_token(&self) -> (String, String) {
        let address = match self.running.address() {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => format!("-unix {}", path.display()),
        };
        (address, self.assembled.tokens.as_ref().map(|tokens| tokens.member.clone()).unwrap_or_default())
    }

    fn target(&self, language: Language) -> Result<Target, Failure> {
        let endpoint = match self.running.address() {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        let tokens = self.assembled.tokens.as_ref();
        let token =
            tokens.ok_or_else(|| Failure::Failed("the server accepts no development token".into()))?;
        Ok(Target { endpoint, token: SecretString::from(token.member.clone()), language, ca_pem: None })
    }
}

/// The folder of the demo; a temporary one goes away with it.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn new(wanted: Option<PathBuf>) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let temporary = wanted.is_none();
        let path =
            wanted.unwrap_or_else(|| std::env::temp_dir().join(format!("linli-demo-{}", std::process::id())));
        // A folder that is there already may hold somebody's estate.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|err| {
            Failure::Failed(format!("the folder `{}` cannot be made: {err}", path.display()))
        })?;
        Ok(Self { path, temporary })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed stays in the folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
