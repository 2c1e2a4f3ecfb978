//! Adding, editing, publishing, browsing.

use catalog_api::{
    Add, AddError, AddVariant, AddVariantError, Availability, Browse, Edit, EditError, NewVariant,
    PageError, ProductError, Publish, PublishError, Reprice, Shown, VARIANTS_MAX, Which,
};
use contract::{Fault, Reason};
use kernel_api::{Bounded, Id, PageRequest};

use crate::world::{World, call, command, command_with, pence, product, sku};

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_found_by_id_and_by_each_sku() {
    World::each(async |world| {
        let wish = product("Lantern", &[("A1", 255), ("A2", 300)]);
        let added = world.catalog.add(&command(), wish).await.unwrap();
        assert_eq!((added.version, added.published), (1, false));
        assert_eq!(added.description.as_str(), "First line.\nSecond line.");
        for which in [Which::Id(added.id), Which::Sku(sku("a1")), Which::Sku(sku("A2"))] {
            assert_eq!(world.catalog.product(&call(), which).await.unwrap(), added);
        }
        let skus: Vec<_> = added.variants.iter().map(|v| v.sku.to_string()).collect();
        assert_eq!(skus, ["A1", "A2"]);
        assert_eq!(added.variants[0].price, Some(pence(255).get()));
        assert_eq!(added.variants[0].availability, Availability::Unknown);
        let nobody = world.catalog.product(&call(), Which::Id(Id::fresh())).await;
        assert_eq!(nobody, Err(Fault::Refused(ProductError::UnknownProduct)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sku_belongs_to_one_product() {
    World::each(async |world| {
        world.add("Lantern", "A1", 255).await;
        let taken = |skus: &[&str]| {
            Err(Fault::Refused(AddError::SkuTaken { skus: skus.iter().map(|s| sku(s)).collect() }))
        };
        let wish = product("Other", &[("B1", 1), ("A1", 1)]);
        assert_eq!(world.catalog.add(&command(), wish).await, taken(&["A1"]));
        let wish = product("Twice", &[("B1", 1), ("b1", 1)]);
        assert_eq!(world.catalog.add(&command(), wish).await, taken(&["B1"]));
        assert_eq!(world.titles(None, Shown::All).await, ["Lantern"], "nothing half done");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_wants_the_version_that_was_read() {
    World::each(async |world| {
        let added = world.add("Lantern", "A1", 255).await;
        let edit = async |expected, title: &str| {
            let title = Some(title.parse().unwrap());
            let wish = Edit { product: added.id, expected, title, description: None };
            world.catalog.edit(&command(), wish).await
        };
        let edited = edit(Some(1), "Red lantern").await.unwrap();
        assert_eq!((edited.title.as_str(), edited.version), ("Red lantern", 2));
        assert_eq!(edited.description, added.description);
        let late = edit(Some(1), "Blue lantern").await;
        assert_eq!(late, Err(Fault::Refused(EditError::VersionMismatch { version: 2 })));
        assert_eq!(edit(None, "Red lantern").await.unwrap().version, 2, "nothing changed");
        assert_eq!(world.titles(Some("RED"), Shown::All).await, ["Red lantern"]);
        let nobody = Edit { product: Id::fresh(), expected: None, title: None, description: None };
        let nobody = world.catalog.edit(&command(), nobody).await;
        assert_eq!(nobody, Err(Fault::Refused(EditError::UnknownProduct)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_editors_of_one_version_one_wins() {
    World::each(async |world| {
        let added = world.add("Lantern", "A1", 255).await;
        let editors = (0..8).map(|number| {
            let catalog = std::sync::Arc::clone(&world.catalog);
            tokio::spawn(async move {
                let title = Some(format!("Lantern {number}").parse().unwrap());
                let wish = Edit { product: added.id, expected: Some(1), title, description: None };
                catalog.edit(&command(), wish).await
            })
        });
        let mut won = 0;
        for editor in editors.collect::<Vec<_>>() {
            match editor.await.unwrap() {
                Ok(product) => won += i32::from(product.version == 2),
                Err(fault) => {
                    assert_eq!(fault, Fault::Refused(EditError::VersionMismatch { version: 2 }));
                }
            }
        }
        assert_eq!(won, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_are_added_up_to_the_limit() {
    World::each(async |world| {
        let variant = |number: usize| NewVariant {
            sku: sku(&format!("A{number}")),
            label: Some(format!("size {number}").parse().unwrap()),
            price: pence(1),
        };
        let wish = Add {
            title: "Shoe".parse().unwrap(),
            description: Default::default(),
            variants: Bounded::new((1..VARIANTS_MAX).map(variant).collect()).unwrap(),
        };
        let added = world.catalog.add(&command(), wish).await.unwrap();
        let add = async |expected, number| {
            let wish = AddVariant { product: added.id, expected, variant: variant(number) };
            world.catalog.add_variant(&command(), wish).await
        };
        let refused = |error| Err(Fault::Refused(error));
        assert_eq!(add(None, 1).await, refused(AddVariantError::SkuTaken));
        let version = AddVariantError::VersionMismatch { version: 1 };
        assert_eq!(add(Some(7), 100).await, refused(version));
        let full = add(Some(1), 100).await.unwrap();
        assert_eq!((full.version, full.variants.len()), (2, VARIANTS_MAX));
        assert_eq!(full.variants[99].label.as_ref().unwrap().as_str(), "size 100");
        assert_eq!(add(None, 101).await, refused(AddVariantError::TooManyVariants));
        assert_eq!(world.titles(Some("size 100"), Shown::All).await, ["Shoe"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_sees_what_is_published_and_priced() {
    World::each(async |world| {
        let added = world.add("Lantern", "A1", 255).await;
        world.add("Candle", "B1", 100).await;
        assert!(world.titles(None, Shown::Published).await.is_empty());
        let wish = Publish { product: added.id, expected: Some(1) };
        let published = world.catalog.publish(&command(), wish.clone()).await.unwrap();
        assert_eq!((published.published, published.version), (true, 2));
        assert_eq!(world.titles(None, Shown::Published).await, ["Lantern"]);
        assert_eq!(world.titles(None, Shown::All).await, ["Lantern", "Candle"]);
        let late = world.catalog.publish(&command(), wish).await;
        assert_eq!(late, Err(Fault::Refused(PublishError::VersionMismatch { version: 2 })));
        let wish = Publish { product: added.id, expected: None };
        let again = world.catalog.publish(&command(), wish.clone()).await.unwrap();
        assert_eq!(again.version, 2, "publishing twice changes nothing");
        let hidden = world.catalog.unpublish(&command(), wish).await.unwrap();
        assert_eq!((hidden.published, hidden.version), (false, 3));
        assert!(world.titles(None, Shown::Published).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_without_a_price_in_force_is_not_published() {
    World::each(async |world| {
        let mut rows = crate::importing::rows(&[("A1", "Lantern", 5)]);
        rows[0].from = Some(world.clock.now().plus(std::time::Duration::from_secs(60)));
        rows[0].published = false;
        crate::importing::import(&world, rows).await;
        let found = world.catalog.product(&call(), Which::Sku(sku("A1"))).await.unwrap();
        let wish = Publish { product: found.id, expected: None };
        let early = world.catalog.publish(&command(), wish.clone()).await;
        assert_eq!(early, Err(Fault::Refused(PublishError::NoPrice { skus: vec![sku("A1")] })));
        let price = Reprice { sku: sku("A1"), price: pence(4), from: None };
        world.catalog.reprice(&command(), price).await.unwrap();
        assert!(world.catalog.publish(&command(), wish).await.unwrap().published);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_looked_for_literally_in_titles_labels_and_skus() {
    World::each(async |world| {
        world.add("WHITE Héart 100%", "85123A", 255).await;
        world.add("Lantern", "85_23B", 255).await;
        for (text, found) in [
            ("white", 1),
            ("HÉART", 1),
            ("85123a", 1),
            ("85", 2),
            ("0%", 1),
            ("%", 1),
            ("5_2", 1),
            ("\\", 0),
            ("'", 0),
        ] {
            let titles = world.titles(Some(text), Shown::All).await;
            assert_eq!(titles.len(), found, "{text}: {titles:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gap_or_repeat() {
    World::each(async |world| {
        for number in 0..5 {
            world.add(&format!("P{number}"), &format!("S{number}"), 1).await;
        }
        let (mut titles, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest { after, limit: Some(2) };
            let wish = Browse { text: None, shown: Shown::All, page };
            let page = world.catalog.products(&call(), wish).await.unwrap();
            titles.extend(page.items.into_iter().map(|product| product.title.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(titles, ["P0", "P1", "P2", "P3", "P4"]);
        let page = PageRequest { after: Some("nonsense".into()), limit: None };
        let wish = Browse { text: None, shown: Shown::All, page };
        let bad = world.catalog.products(&call(), wish).await;
        assert_eq!(bad, Err(Fault::Refused(PageError::BadCursor)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_one_product() {
    World::each(async |world| {
        let once = command_with("k1");
        let wish = product("Lantern", &[("A1", 255)]);
        let first = world.catalog.add(&once, wish.clone()).await.unwrap();
        assert_eq!(world.catalog.add(&once, wish).await.unwrap(), first);
        let other = world.catalog.add(&once, product("Candle", &[("B1", 1)])).await;
        match other {
            Err(Fault::NotExecuted(why)) => assert_eq!(why.reason, Reason::KeyReused),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_one_sku_at_once_one_gets_it() {
    World::each(async |world| {
        let buyers: Vec<_> = (0..8)
            .map(|number| {
                let catalog = std::sync::Arc::clone(&world.catalog);
                tokio::spawn(async move {
                    let own = format!("B{number}");
                    let variants = [("A1", 1), (own.as_str(), 1)];
                    catalog.add(&command(), product("Lantern", &variants)).await
                })
            })
            .collect();
        let mut won = 0;
        for buyer in buyers {
            match buyer.await.unwrap() {
                Ok(_) => won += 1,
                Err(fault) => {
                    let taken = AddError::SkuTaken { skus: vec![sku("A1")] };
                    assert_eq!(fault, Fault::Refused(taken));
                }
            }
        }
        assert_eq!(won, 1);
        assert_eq!(world.titles(None, Shown::All).await.len(), 1, "nothing half done");
    })
    .await;
}
